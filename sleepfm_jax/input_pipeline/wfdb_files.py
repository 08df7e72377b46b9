"""The header of a WFDB record and the signal files it names, checked against each other.

`wfdb` parses the header; what it would read wrongly, or from elsewhere, is refused before it reads.
"""

import dataclasses
import itertools
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.edf_header import HIGHEST_RATE, LONGEST_RECORDING

if TYPE_CHECKING:
    import wfdb

LARGEST_HEADER = 1 << 20  # bytes; a header has a line for each signal
# Bits that a sample takes in a file, and the bytes by which the last block may be too long.
FORMATS = {
    "16": (16.0, 0),
    "24": (24.0, 0),
    "32": (32.0, 0),
    "80": (8.0, 0),
    "160": (16.0, 0),
    "212": (12.0, 1),
    "310": (32 / 3, 3),
    "311": (32 / 3, 3),
}
LEAVES_FOLDER = set("/\\:")
LONG_NUMBER = re.compile(r"[0-9]{41}")  # with fewer digits no arithmetic overflows
MOST_BITS = 32  # of a sample, in any of WFDB's formats
SMALLEST_GAIN = 1e-30  # digits a unit; with less, or the like of more, numbers are not finite


@dataclasses.dataclass(frozen=True)
class SignalFile:
    """Signals of a record that stand side by side in one file.

    Attributes:
        name: of the file, beside the header.
        format: WFDB's number for how samples are stored.
        offset: bytes before the first sample.
        width: samples in a frame, of all its signals together.
    """

    name: str
    format: str
    offset: int
    width: int

    def bytes(self, frames: int) -> int:
        """What `frames` take in the file, with what stands before them."""
        bits, _ = FORMATS[self.format]
        return self.offset + math.ceil(frames * self.width * bits / 8)

    def frames(self, size: int) -> int:
        """Frames in a file of `size` bytes."""
        bits, _ = FORMATS[self.format]
        return int((size - self.offset) * 8 / bits) // self.width


def names(path: Path) -> tuple[str, ...]:
    """The signal files that a header names, each once; none where it cannot be read.

    Args:
        path: of the header.
    """
    try:
        lines = _lines(path)
    except OSError:
        return ()
    found = dict.fromkeys(line.split()[0] for line in lines[1:])
    return tuple(name for name in found if not LEAVES_FOLDER & set(name))


def read_header(path: Path) -> "tuple[wfdb.Record, int]":
    """Reads a record's header and checks it against the record's files.

    Args:
        path: of the header, `NAME.hea`.

    Returns:
        the header, and the number of frames in the record.

    Raises:
        InputError: it is no header of a single-segment record with signals in one of `FORMATS`, or
            a signal file is missing, not beside it, or longer or shorter than it says, or what it
            says cannot be.
    """
    record = _parsed(path)
    if not record.n_sig or record.fmt is None:
        raise InputError(f"{path} describes no signal: give the record's own header")
    if record.n_sig != len(record.fmt):
        raise InputError(
            f"{path} describes {len(record.fmt)} of its {record.n_sig} signals: get it again"
        )
    files = list(_files(path, record))
    frames = record.sig_len
    if not frames:  # wfdb reads no parts of such a record
        found = files[0].frames(_size(path, files[0].name))
        raise InputError(
            f"{path} does not tell how many samples there are: write {found}, which its first "
            "signal file holds, after the rate in its first line"
        )
    _refuse_impossible_times(path, record, frames)
    _refuse_impossible_digits(path, record)
    for file in files:
        _refuse_other_length(path, file, frames)
    return record, frames


def _lines(path: Path) -> list[str]:
    """Lines of a header without comments, as `wfdb` reads them."""
    with path.open("rb") as file:
        text = file.read(LARGEST_HEADER).decode("ascii", errors="ignore")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _parsed(path: Path) -> Any:
    """The header, as `wfdb` understands it."""
    import wfdb

    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise InputError(f"{path} is not a file: give the header of a WFDB record")
        if path.stat().st_size > LARGEST_HEADER:
            raise InputError(f"{path} is too long for a WFDB header: give the one of a record")
        _refuse_unreadable(path, _lines(path))
        return wfdb.rdheader(local_name(path))
    except OSError as error:
        raise InputError(
            f"{path} cannot be opened ({error.strerror}): check its name and your permission"
        ) from error
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{path} is no WFDB header ({error}): get it again") from error


def _refuse_unreadable(path: Path, lines: list[str]) -> None:
    """Refuses what `wfdb` would read from elsewhere, or would fail to calculate with."""
    if not lines:
        raise InputError(f"{path} is empty: download or export it again")
    if any(LONG_NUMBER.search(line) for line in lines):
        raise InputError(f"{path} has a number of more than 40 digits: get it again")
    if "/" in lines[0].split()[0]:
        raise InputError(
            f"{path} is a record of several segments, which are not read: give the headers of the "
            "segments, or make one record of them (xform or wfdb.wrsamp)"
        )
    for name in (line.split()[0] for line in lines[1:]):
        if LEAVES_FOLDER & set(name):
            raise InputError(
                f"{path} names a signal file outside its folder ({name!r}): put the file beside "
                "it, and its bare name into the header"
            )


def local_name(path: Path) -> str:
    """What `wfdb` calls a record, in a way that it never looks for elsewhere.

    Raises:
        InputError: `wfdb` would take the path for an address, or look for another suffix.
    """
    name = str(path.absolute())
    if "::" in name:
        raise InputError(f"{path} has '::' in its path, which wfdb takes for an address: rename it")
    if path.suffix != ".hea":
        raise InputError(f"{path} does not end in .hea: rename it")
    return name.removesuffix(".hea")


def _files(path: Path, record: Any) -> Iterator[SignalFile]:
    """The signal files, in the header's order."""
    seen = set()
    places = zip(record.file_name, record.fmt, record.byte_offset, strict=True)
    widths = iter(record.samps_per_frame)
    for (name, form, offset), group in itertools.groupby(places):
        width = sum(next(widths) or 1 for _ in group)
        if form not in FORMATS:
            raise InputError(
                f"{path} has signals in format {form}, which is not read: convert the record to "
                f"one of {', '.join(FORMATS)} (xform)"
            )
        if name in seen:
            raise InputError(
                f"{path} describes signals of {name} apart or in two formats: export it again"
            )
        seen.add(name)
        yield SignalFile(name, form, offset or 0, width)


def _size(path: Path, name: str) -> int:
    file = path.with_name(name) if name not in ("", ".", "~") else path.parent
    try:
        status = file.stat()
    except OSError as error:
        raise InputError(
            f"{path} has its signals in {name}, which cannot be opened ({error.strerror}): put "
            "both files into one folder"
        ) from error
    if not stat.S_ISREG(status.st_mode) or not os.access(file, os.R_OK):
        raise InputError(
            f"{path} has its signals in {name!r}, which is no file that can be read: put it there"
        )
    return status.st_size


def _refuse_impossible_times(path: Path, record: Any, frames: int) -> None:
    rate = record.fs
    if not 0 < rate <= HIGHEST_RATE or frames / rate > LONGEST_RECORDING:
        raise InputError(
            f"{path} says that {frames} samples were taken at {rate:g} Hz, which cannot be: "
            "export it again"
        )


def _refuse_impossible_digits(path: Path, record: Any) -> None:
    """In Python's integers, which the numbers of a damaged header do not overflow."""
    digits = record.adc_gain, record.baseline, record.adc_res, record.adc_zero
    for name, gain, baseline, bits, zero in zip(record.sig_name, *digits, strict=True):
        furthest = max(abs(baseline or 0), abs(zero or 0))
        finite = SMALLEST_GAIN < abs(gain) < 1 / SMALLEST_GAIN
        if not finite or not 0 <= (bits or 0) <= MOST_BITS or furthest > 1 << MOST_BITS:
            raise InputError(
                f"{path} says that {name!r} has samples of {bits} bits around {zero}, {gain:g} a "
                f"unit from {baseline} on, which cannot be: get it again"
            )


def _refuse_other_length(path: Path, file: SignalFile, frames: int) -> None:
    size, wanted = _size(path, file.name), file.bytes(frames)
    place = path.with_name(file.name)
    if size < wanted:
        raise InputError(
            f"{place} is truncated ({size} of the {wanted} bytes that {path.name} tells of): copy "
            "or download it again"
        )
    _, slack = FORMATS[file.format]
    if size > wanted + slack:
        raise InputError(
            f"{place} is {size - wanted} bytes longer than {path.name} says ({wanted} bytes): get "
            "both files again"
        )
