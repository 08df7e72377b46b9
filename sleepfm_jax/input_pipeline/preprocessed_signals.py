"""A preprocessed recording (HDF5) as a source of signals, with the interface of an open EDF."""

import dataclasses

import numpy as np

from sleepfm_jax.input_pipeline.recordings import NotFinite, Recording
from sleepfm_jax.input_pipeline.resample import RATE

PIECES = (30 * RATE, RATE)  # samples read at once where one is no number; the last go together


@dataclasses.dataclass(frozen=True)
class PreprocessedSignal:
    """One channel.

    Attributes:
        label: its name.
        rate: 128 Hz.
    """

    label: str
    rate: float = float(RATE)


class PreprocessedSignals:
    """An open recording, read like `edf.EdfRecording`; a context manager that closes it.

    Attributes:
        signals: all channels, in the file's order.
        duration: seconds.
        segments: one (start, stop): gaps are zeros in such a file, and are found as flat.
    """

    def __init__(self, recording: Recording) -> None:
        """Takes over `recording`."""
        self._recording = recording
        self.signals = tuple(map(PreprocessedSignal, recording.labels))
        self.duration = recording.duration
        self.segments = ((0.0, recording.duration),)

    def read(self, signal: PreprocessedSignal, segment: int = 0) -> np.ndarray:
        """Reads one channel.

        Args:
            signal: one of `signals`.
            segment: 0, the only one.

        Returns:
            (samples,) float64; NaN for the whole second of a sample that is no number.

        Raises:
            IndexError: there is no such segment.
            InputError: the file is damaged there.
        """
        if segment != 0:
            raise IndexError(f"a preprocessed recording has one segment, not {segment + 1}")
        return self._read(signal.label, 0, self._recording.samples, PIECES)

    def __enter__(self) -> "PreprocessedSignals":
        return self

    def __exit__(self, *_: object) -> None:
        self._recording.close()

    def _read(self, label: str, start: int, stop: int, pieces: tuple[int, ...]) -> np.ndarray:
        """Samples; where not all are numbers, piece by piece, and those without one as NaN."""
        try:
            return self._recording.read(label, start, stop).astype(np.float64)
        except NotFinite:
            if not pieces:
                return np.full(stop - start, np.nan)
            step, *smaller = pieces
            return np.concatenate(
                [
                    self._read(label, first, min(first + step, stop), tuple(smaller))
                    for first in range(start, stop, step)
                ]
            )
