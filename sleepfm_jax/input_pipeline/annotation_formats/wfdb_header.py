"""The first line of a WFDB header (`.hea`): rate and length of the record that labels belong to."""

import dataclasses
from pathlib import Path

from sleepfm_jax.input_pipeline.annotation_formats.document import Document


@dataclasses.dataclass(frozen=True)
class Header:
    """Of a record.

    Attributes:
        rate: Hz, of the record's frames.
        samples: frames in the record; 0: not told.
    """

    rate: float
    samples: int

    @property
    def seconds(self) -> float | None:
        """How long the record lasts; None: not told."""
        return self.samples / self.rate if self.samples else None


def beside(document: Document) -> Header | None:
    """The header of the record that a label file belongs to; None: it is not there.

    Raises:
        InputError: it is there but has no rate.
    """
    name = document.path.stem.removesuffix("-arousal")
    path = document.path.with_name(f"{name}.hea")
    return _read(path) if path.is_file() else None


def _read(path: Path) -> Header:
    document = Document(path)
    lines = [line for line in document.lines if not line.startswith("#")]
    fields = lines[0].split() if lines else []
    try:
        rate = float(fields[2].partition("/")[0]) if len(fields) > 2 else 250.0  # WFDB's default
        samples = int(fields[3]) if len(fields) > 3 else 0
    except ValueError as error:
        raise document.fault(f"is no WFDB header ({error}): check the file") from error
    if len(fields) < 2 or not 0 < rate < 1e6 or samples < 0:
        raise document.fault("is no WFDB header: the first line needs name, signals and rate")
    return Header(rate, samples)
