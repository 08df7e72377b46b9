"""Reads EDF, EDF+C, EDF+D and BDF recordings, one channel at a time, gaps at their true times.

Samples are read in blocks of whole records of which only the wanted channel is decoded: 0.03 s a
channel of an eight-hour night, in one megabyte beside the result. Values are MNE's, calibrated in
the same order of operations, but stay in the header's unit where MNE turns uV and mV into volts.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import edf_timing
from sleepfm_jax.input_pipeline.edf_fields import EdfError
from sleepfm_jax.input_pipeline.edf_header import EdfSignal, read_header

__all__ = ["EdfRecording", "EdfSignal", "open_recording"]

BLOCK_BYTES = 1 << 20  # what one read takes from the file; stays in a core's cache


class EdfRecording:
    """An open EDF or BDF file; a context manager.

    Attributes:
        path: the file.
        format: "EDF", "EDF+C", "EDF+D", "BDF", "BDF+C" or "BDF+D".
        signals: the ordinary signals, in the file's order; annotation channels and signals
            without samples are left out.
        highest_rate: the highest rate of any of `signals` (Hz); 0 where there is none.
        duration: seconds from the first to the end of the last sample, gaps included.
        segments: (start, stop) of each stretch without a gap, in seconds from the first sample;
            where records tell their times these decide, whatever the header's C or D says.
    """

    path: Path
    format: str
    signals: tuple[EdfSignal, ...]
    highest_rate: float
    duration: float
    segments: tuple[tuple[float, float], ...]

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Takes over `file`; use `open_recording`."""
        self.path = path
        self._file = file
        self._header = header = read_header(file)
        self.format = header.format
        self.signals = header.signals
        self.highest_rate = max((signal.rate for signal in self.signals), default=0.0)
        self._first_time, self._stretches = self._timing()
        self.segments = tuple(
            (s.start, s.start + (s.stop - s.first) * header.record_duration)
            for s in self._stretches
        )
        self.duration = self.segments[-1][1]

    def read(self, signal: EdfSignal, segment: int = 0) -> np.ndarray:
        """Reads one signal within one segment.

        Args:
            signal: one of `signals`.
            segment: which of `segments`.

        Returns:
            (samples,) float64 in the header's unit at the signal's own rate; as in MNE, a digital
            or physical range of zero counts as one.

        Raises:
            InputError: the file can no longer be read.
        """
        stretch = self._stretches[segment]
        width = self._header.samples_per_record[signal.index]
        values = np.empty((stretch.stop - stretch.first, width), np.float64)
        digital_range = float(signal.digital_max - signal.digital_min) or 1.0
        gain = (signal.physical_max - signal.physical_min or 1.0) / digital_range
        offset = signal.physical_min - signal.digital_min * gain
        done = 0
        for block in self._blocks(signal.index, stretch.first, stretch.stop):
            part = values[done : done + len(block)]
            np.multiply(_integers(block, self._header.sample_bytes), gain, out=part)
            part += offset
            done += len(block)
        return values.reshape(-1)  # (records, width) -> (samples,)

    def annotations(self) -> list[tuple[float, float, str]]:
        """Reads the events of EDF+ and BDF+.

        Returns:
            (onset in seconds from the first sample, duration in seconds, text), by onset.

        Raises:
            InputError: the file can no longer be read.
        """
        channels = (
            b"\0".join(self._bytes(index)) + b"\0" for index in self._header.annotation_channels
        )
        return edf_timing.events(channels, self._first_time)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> "EdfRecording":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _timing(self) -> tuple[float, tuple[edf_timing.Stretch, ...]]:
        """Time of the first record, and the stretches."""
        header = self._header
        whole = (edf_timing.Stretch(0, header.records, 0.0),)
        if not header.annotation_channels:
            if header.format.endswith("D"):
                raise EdfError(
                    "says it has gaps but has no annotation channel to tell where: export it again"
                )
            return 0.0, whole
        times = edf_timing.record_times(self._bytes(header.annotation_channels[0]))
        first = 0.0 if np.isnan(times[0]) else float(times[0])
        if not header.signals:
            return first, whole
        if not np.isnan(times).any():
            return first, edf_timing.stretches(times, header.record_duration, self.highest_rate)
        if header.format.endswith("D"):
            raise EdfError(
                f"says it has gaps but {int(np.isnan(times).sum())} of its {len(times)} data "
                "records do not tell their time: export it again"
            )
        return first, whole

    def _bytes(self, index: int) -> list[bytes]:
        """The bytes of the channel at `index`, one entry a record."""
        blocks = self._blocks(index, 0, self._header.records)
        return [record.tobytes() for block in blocks for record in block]

    def _blocks(self, index: int, first: int, stop: int) -> Iterator[np.ndarray]:
        """Yields (records, bytes) uint8 views of one channel; each is valid until the next."""
        header = self._header
        start, width = header.span(index)
        if width == 0:
            return
        step = max(1, BLOCK_BYTES // header.record_bytes)
        buffer = bytearray((min(step, stop - first) - 1) * header.record_bytes + width)
        for record in range(first, stop, step):
            count = min(step, stop - record)
            wanted = memoryview(buffer)[: (count - 1) * header.record_bytes + width]
            self._fill(wanted, header.bytes + record * header.record_bytes + start)
            yield np.ndarray((count, width), np.uint8, buffer, strides=(header.record_bytes, 1))

    def _fill(self, wanted: memoryview, position: int) -> None:
        while wanted:
            try:
                count = os.preadv(self._file.fileno(), [wanted], position)
            except OSError as error:
                raise InputError(
                    f"{self.path} cannot be read ({error.strerror}): check the disk or network"
                ) from error
            if count == 0:
                raise InputError(f"{self.path} became shorter while it was read: run this again")
            wanted, position = wanted[count:], position + count


def open_recording(path: str | os.PathLike[str]) -> EdfRecording:
    """Opens an EDF, EDF+C, EDF+D or BDF file.

    Only the header and the times of the records are read.

    Args:
        path: the file.

    Raises:
        InputError: there is no such file, or it is damaged, not EDF or BDF, longer or shorter
            than its header says, without data, or its records overlap in time.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise InputError(f"{path} is not a file: give an EDF or BDF recording")
        file = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path} cannot be opened ({error.strerror}): check its name and your permission"
        ) from error
    try:
        return EdfRecording(path, file)
    except EdfError as fault:
        file.close()
        raise InputError(f"{path} {fault}") from None
    except BaseException:
        file.close()
        raise


def _integers(block: np.ndarray, sample_bytes: int) -> np.ndarray:
    """(records, bytes) uint8 to (records, samples) of little-endian two's complement integers."""
    if sample_bytes == 2:
        return block.view("<i2")
    records, width = block.shape
    high = np.zeros((records, width // 3, 4), np.uint8)
    high[..., 1:] = block.reshape(records, -1, 3)
    return high.view("<i4")[..., 0] >> 8  # back down, the sign with it
