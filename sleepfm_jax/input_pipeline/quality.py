"""What a channel's source was like: how much of it is flat, at its device's limits, or missing."""

import dataclasses
import math

import numpy as np

EPOCH = 30.0  # seconds


@dataclasses.dataclass(frozen=True)
class Quality:
    """Shares of a channel, from 0 to 1.

    Attributes:
        flat: samples in 30-s epochs without any change, of the samples there are.
        clipped: samples at a limit of what the device could measure, of the samples there are.
        missing: time in gaps or without a number, of the recording's duration.
    """

    flat: float
    clipped: float
    missing: float


class Gauge:
    """Takes a channel stretch by stretch and tells its `Quality`."""

    def __init__(self, rate: float, physical_min: float, physical_max: float) -> None:
        """Begins without samples.

        Args:
            rate: of the channel (Hz).
            physical_min: one limit of what the device could measure, in the samples' unit.
            physical_max: the other; which is the larger does not matter.
        """
        self._rate = rate
        bottom, top = sorted((physical_min, physical_max))
        self._limits = (bottom, top) if bottom < top else (-math.inf, math.inf)
        self._samples = self._finite = self._flat = self._clipped = 0

    @property
    def whole(self) -> bool:
        """Whether every sample so far is a finite number."""
        return self._finite == self._samples

    @property
    def empty(self) -> bool:
        """Whether there is no sample so far."""
        return self._samples == 0

    def add(self, samples: np.ndarray) -> None:
        """Takes the next stretch.

        Args:
            samples: (samples,) float64.
        """
        starts = np.arange(0, len(samples), max(1, round(EPOCH * self._rate)))
        lows = np.minimum.reduceat(samples, starts)  # (epochs,)
        highs = np.maximum.reduceat(samples, starts)
        low, high = lows.min(), highs.max()
        self._samples += len(samples)
        self._finite += len(samples) if np.isfinite([low, high]).all() else _finite(samples)
        self._flat += np.diff(starts, append=len(samples))[lows == highs].sum()
        bottom, top = self._limits
        slack = 1e-9 * (top - bottom)  # calibration rounds
        if low <= bottom + slack or high >= top - slack:
            at_limit = (samples <= bottom + slack) | (samples >= top - slack)
            self._clipped += int(np.count_nonzero(at_limit))

    def quality(self, duration: float) -> Quality:
        """The shares of all stretches together.

        Args:
            duration: of the recording, gaps included (seconds).
        """
        return Quality(
            flat=float(self._flat / self._samples),
            clipped=self._clipped / self._samples,
            missing=max(0.0, 1.0 - self._finite / (duration * self._rate)),
        )


def _finite(samples: np.ndarray) -> int:
    return int(np.count_nonzero(np.isfinite(samples)))
