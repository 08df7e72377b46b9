"""The header of an EDF or BDF file: what it says, checked against the file's size.

The fixed ASCII fields (https://www.edfplus.info/specs/edf.html) are read here and not through MNE,
which shows no channel's own rate, opens a file with annotations only by reading all of it, trusts
the file's size where it contradicts the header and ends in bare exceptions on damaged fields; the
tests hold every value against MNE's. Date, patient and equipment fields are never looked at, so an
impossible date costs nothing and nothing personal can leave.
"""

import dataclasses
import os
from typing import BinaryIO

from sleepfm_jax.input_pipeline import edf_fields
from sleepfm_jax.input_pipeline.edf_fields import EdfError

FIXED_BYTES = 256  # the header's first part, and each signal's share of the second
FIELDS = {  # of each signal, in the file's order: all labels, then all transducers, …
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical minimum": 8,
    "physical maximum": 8,
    "digital minimum": 8,
    "digital maximum": 8,
    "prefiltering": 80,
    "samples per record": 8,
    "reserved": 32,
}
ANNOTATION_LABELS = ("EDF Annotations", "BDF Annotations")
FOREIGN = {  # what other files begin with, and what to do with them
    b"\x1f\x8b": "is compressed with gzip: unpack it first (gunzip)",
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"\x89HDF": "is an HDF5 file, not EDF or BDF: give the recording in one of these formats",
    b"GDF": "is a GDF file: convert it to EDF first",
}
# Beyond these a header's number is a damaged one, not a recording of sleep.
LONGEST_RECORDING = 31 * 86_400.0  # seconds
HIGHEST_RATE = 1e6  # Hz


@dataclasses.dataclass(frozen=True)
class EdfSignal:
    """One signal of an EDF or BDF file, as the header describes it.

    Attributes:
        index: position among all signals of the file, annotation channels counted.
        label: the header's label, stripped; duplicates are not renamed.
        rate: samples per second (Hz).
        samples: samples the file stores of it.
        unit: the header's physical dimension, stripped ("uV", "mV", "%", "").
        physical_min: physical value of `digital_min`.
        physical_max: physical value of `digital_max`; less than `physical_min` for an inverted
            signal.
        digital_min: may lie beyond what the sample's integers can hold.
        digital_max: likewise.
    """

    index: int
    label: str
    rate: float
    samples: int
    unit: str
    physical_min: float
    physical_max: float
    digital_min: int
    digital_max: int


@dataclasses.dataclass(frozen=True)
class Header:
    """What is needed to read a file's samples, and nothing about the patient.

    Attributes:
        format: "EDF", "EDF+C", "EDF+D", "BDF", "BDF+C" or "BDF+D".
        sample_bytes: 2 (EDF) or 3 (BDF).
        records: number of data records, all complete.
        record_duration: seconds a record lasts; 0 only where no signal is ordinary.
        samples_per_record: of every signal in the file, annotation channels too.
        signals: the ordinary signals that hold samples.
        annotation_channels: positions of the annotation channels.
    """

    format: str
    sample_bytes: int
    records: int
    record_duration: float
    samples_per_record: tuple[int, ...]
    signals: tuple[EdfSignal, ...]
    annotation_channels: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Length of the header itself."""
        return FIXED_BYTES * (1 + len(self.samples_per_record))

    @property
    def record_bytes(self) -> int:
        """Length of one data record."""
        return sum(self.samples_per_record) * self.sample_bytes

    def span(self, index: int) -> tuple[int, int]:
        """Where in a record the signal at `index` begins, and how many bytes it takes there."""
        start = sum(self.samples_per_record[:index]) * self.sample_bytes
        return start, self.samples_per_record[index] * self.sample_bytes


def read_header(file: BinaryIO) -> Header:
    """Reads and checks the header of an open EDF or BDF file.

    Args:
        file: the file, opened for binary reading.

    Raises:
        EdfError: the file is not EDF or BDF, a field cannot be right, or the file is longer or
            shorter than its header says.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    fixed = file.read(FIXED_BYTES)
    stem, sample_bytes = _family(fixed)
    if len(fixed) < FIXED_BYTES:
        raise EdfError("ends within its header: copy or export it again")
    count = edf_fields.integer(fixed[252:256], "number of signals", least=1)
    if edf_fields.integer(fixed[184:192], "header length") != FIXED_BYTES * (1 + count):
        raise EdfError(
            f"has a damaged header (its length does not fit {count} signals): export it again"
        )
    described = file.read(FIXED_BYTES * count)
    if len(described) < FIXED_BYTES * count:
        raise EdfError("ends within its header: copy or export it again")

    columns = _columns(described, count)
    labels = [edf_fields.text(field) for field in columns["label"]]
    widths = tuple(
        edf_fields.integer(field, f"samples per record of {label!r}")
        for field, label in zip(columns["samples per record"], labels, strict=True)
    )
    header_bytes, record_bytes = FIXED_BYTES * (1 + count), sum(widths) * sample_bytes
    if record_bytes == 0:
        raise EdfError("describes only signals without samples: export it again")
    declared = edf_fields.integer(fixed[236:244], "number of records", least=-1)
    records = _records(declared, size - header_bytes, record_bytes)
    ordinary = [
        i for i, label in enumerate(labels) if label not in ANNOTATION_LABELS and widths[i] > 0
    ]
    duration = _record_duration(fixed[244:252], records, [widths[i] for i in ordinary])
    return Header(
        format=stem + _continuity(fixed[192:236]),
        sample_bytes=sample_bytes,
        records=records,
        record_duration=duration,
        samples_per_record=widths,
        signals=tuple(
            _signal(i, columns, labels[i], widths[i] / duration, widths[i] * records)
            for i in ordinary
        ),
        annotation_channels=tuple(
            i for i, label in enumerate(labels) if label in ANNOTATION_LABELS
        ),
    )


def _family(fixed: bytes) -> tuple[str, int]:
    if not fixed:
        raise EdfError("is empty (0 bytes): download or export it again")
    if fixed.startswith(b"\xffBIOSEMI"):
        return "BDF", 3
    if fixed[:8].strip(b" \0") == b"0":
        return "EDF", 2
    for magic, advice in FOREIGN.items():
        if fixed.startswith(magic):
            raise EdfError(advice)
    raise EdfError("does not begin as an EDF or BDF file: give a recording in one of these formats")


def _continuity(reserved: bytes) -> str:
    mark = reserved[:5].decode("latin-1").upper()
    return mark[3:] if mark in ("EDF+C", "EDF+D", "BDF+C", "BDF+D") else ""


def _columns(described: bytes, count: int) -> dict[str, list[bytes]]:
    columns, start = {}, 0
    for name, width in FIELDS.items():
        stop = start + width * count
        columns[name] = [described[i : i + width] for i in range(start, stop, width)]
        start = stop
    return columns


def _records(declared: int, data_bytes: int, record_bytes: int) -> int:
    complete, rest = divmod(data_bytes, record_bytes)
    if declared == -1 and rest == 0:  # the recorder never came to write the number
        declared = complete
    if declared == 0 and data_bytes == 0:
        raise EdfError("holds no data records: export it again")
    if declared == -1:
        raise EdfError(
            f"was not closed by its recorder and ends within a record ({complete} are complete): "
            "export it again"
        )
    if data_bytes < declared * record_bytes:
        raise EdfError(
            f"is truncated ({complete} of {declared} data records are complete): "
            "copy or export it again"
        )
    if data_bytes > declared * record_bytes:
        raise EdfError(
            f"is {data_bytes - declared * record_bytes} bytes longer than its header says "
            f"({declared} records of {record_bytes} bytes): export it again"
        )
    return declared


def _record_duration(field: bytes, records: int, widths: list[int]) -> float:
    """Seconds a record lasts, given how many samples each ordinary signal has in it."""
    duration = edf_fields.decimal(field, "duration of a record")
    if duration < 0 or (duration == 0 and widths):
        raise EdfError(
            f"says that a record lasts {duration:g} s, so no rate is known: export it again"
        )
    if records * duration > LONGEST_RECORDING:
        raise EdfError(
            f"says that each of its {records} records lasts {duration:g} s, which cannot be: "
            "export it again"
        )
    if widths and max(widths) > HIGHEST_RATE * duration:
        raise EdfError(
            f"says that {max(widths)} samples were taken in {duration:g} s, which cannot be: "
            "export it again"
        )
    return duration


def _signal(
    index: int, columns: dict[str, list[bytes]], label: str, rate: float, samples: int
) -> EdfSignal:
    def physical(name: str) -> float:
        return edf_fields.decimal(columns[name][index], f"{name} of {label!r}")

    def digital(name: str) -> int:
        return edf_fields.integer(columns[name][index], f"{name} of {label!r}", least=None)

    return EdfSignal(
        index=index,
        label=label,
        rate=rate,
        samples=samples,
        unit=edf_fields.text(columns["unit"][index]),
        physical_min=physical("physical minimum"),
        physical_max=physical("physical maximum"),
        digital_min=digital("digital minimum"),
        digital_max=digital("digital maximum"),
    )
