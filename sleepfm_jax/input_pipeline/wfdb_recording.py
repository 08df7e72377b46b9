"""Reads WFDB records (`.hea` and signal files, as PhysioNet has them), one channel at a time.

Through `wfdb`, in blocks of frames of which only the wanted channel is kept.
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import wfdb_files

BLOCK_SAMPLES = 1 << 21  # of all signals together that one read takes; 4 MB in format 16


@dataclasses.dataclass(frozen=True)
class WfdbSignal:
    """One signal of a record, as the header describes it.

    Attributes:
        index: position among the record's signals.
        label: the header's description, "signal 3" where there is none.
        rate: samples per second (Hz).
        samples: samples the record holds of it.
        unit: the header's unit ("uV", "mV", "%"), "mV" where it tells none.
        physical_min: the least that its digits can express, in its unit.
        physical_max: the most.
    """

    index: int
    label: str
    rate: float
    samples: int
    unit: str
    physical_min: float
    physical_max: float


class WfdbRecording:
    """A WFDB record, read like `edf.EdfRecording`; a context manager.

    Attributes:
        path: the header.
        format: "WFDB".
        signals: all signals, in the header's order.
        highest_rate: the highest rate of any of `signals` (Hz).
        duration: seconds from the first to the end of the last sample.
        segments: one (start, stop), in seconds: a record's samples follow each other. What was
            not measured is marked sample by sample, in each signal for itself.
    """

    def __init__(self, path: Path) -> None:
        """Reads the header; use `open_recording`."""
        self.path = path
        self.format = "WFDB"
        self._record, self._frames = wfdb_files.read_header(path)
        self._name = wfdb_files.local_name(path)
        record, rate = self._record, float(self._record.fs)
        self.signals = tuple(
            WfdbSignal(
                index=index,
                label=label.strip() if label else f"signal {index}",
                rate=rate * record.samps_per_frame[index],
                samples=self._frames * record.samps_per_frame[index],
                unit="" if record.units[index] == "NU" else record.units[index],
                physical_min=low,
                physical_max=high,
            )
            for index, label in enumerate(record.sig_name)
            for low, high in (_limits(record, index),)
        )
        self.highest_rate = max(signal.rate for signal in self.signals)
        self.duration = self._frames / rate
        self.segments = ((0.0, self.duration),)

    def read(self, signal: WfdbSignal, segment: int = 0) -> np.ndarray:
        """Reads one signal.

        Args:
            signal: one of `signals`.
            segment: 0, the only one.

        Returns:
            (samples,) float64 in the header's unit at the signal's own rate; NaN where the record
            marks that nothing was measured.

        Raises:
            IndexError: there is no such segment.
            InputError: the files can no longer be read, or hold other samples than those whose
                checksum the header tells.
        """
        if segment != 0:
            raise IndexError(f"a WFDB record has one segment, not {segment + 1}")
        values = np.empty(signal.samples)
        done = total = 0
        for digits, numbers in self._blocks(signal.index):
            total += int(digits.sum(dtype=np.int64))
            values[done : done + len(numbers)] = numbers
            done += len(numbers)
        self._refuse_other_sum(signal, total)
        return values

    def annotations(self) -> list[tuple[float, float, str]]:
        """None: a record's labels stand in files of their own (`annotations.find`)."""
        return []

    def close(self) -> None:
        """Closes nothing: every read opens the files anew."""

    def __enter__(self) -> "WfdbRecording":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _blocks(self, index: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields consecutive samples of one signal: as integers, and as `wfdb` makes numbers."""
        import wfdb

        step = max(1, BLOCK_SAMPLES // sum(self._record.samps_per_frame))
        for first in range(0, self._frames, step):
            try:
                block = wfdb.rdrecord(
                    self._name,
                    sampfrom=first,
                    sampto=min(first + step, self._frames),
                    channels=[index],
                    physical=False,
                    smooth_frames=False,  # every signal at its own rate
                )
            except OSError as error:
                raise InputError(
                    f"{self.path} cannot be read ({error.strerror}): check the disk or network"
                ) from error
            except ValueError as error:  # fewer samples than were asked for
                raise InputError(
                    f"{self.path} or its signals changed while they were read: run this again"
                ) from error
            yield block.e_d_signal[0], block.dac(expanded=True)[0]

    def _refuse_other_sum(self, signal: WfdbSignal, total: int) -> None:
        told = self._record.checksum[signal.index]
        if not told or self._record.skew[signal.index]:  # which leaves out some samples
            return
        if (total - told) % (1 << 15):  # of its 16 bits some writers lose the highest
            raise InputError(
                f"{self.path} does not describe the samples of {signal.label!r} that stand in "
                f"{self._record.file_name[signal.index]} (their checksum is another): get both "
                "files again, or take the checksums out of the header if you trust the signals"
            )


def open_recording(path: str | os.PathLike[str]) -> WfdbRecording:
    """Opens a WFDB record.

    Only the header is read, and the lengths of the signal files.

    Args:
        path: the header, `NAME.hea`.

    Raises:
        InputError: as `wfdb_files.read_header`.
    """
    return WfdbRecording(Path(path))


def _limits(record: "wfdb_files.wfdb.Record", index: int) -> tuple[float, float]:
    """The least and the most that a signal's digits can express, in its unit."""
    bits = int(record.adc_res[index] or wfdb_files.FORMATS[record.fmt[index]][0])
    zero = record.adc_zero[index] or 0
    digits = np.array([zero - (1 << bits - 1), zero + (1 << bits - 1) - 1], np.float64)
    low, high = sorted((digits - record.baseline[index]) / record.adc_gain[index])
    return float(low), float(high)
