"""What is wrong with the clips of one channel: samples that are absent or no numbers, or flat."""

import dataclasses

import numpy as np

from sleepfm_jax.input_pipeline.clips import SECONDS

PIECE = 1.0  # seconds, of which a piece of a clip is flat or not


@dataclasses.dataclass(frozen=True)
class Checked:
    """Clips of one channel, by the samples of its source.

    Attributes:
        whole: (K,) bool, every sample is there and a number.
        flat: (K,) float32, share of pieces whose samples are all equal.
        low: the smallest number in them; infinity where there is none.
        high: the largest; minus infinity where there is none.
    """

    whole: np.ndarray
    flat: np.ndarray
    low: float
    high: float


def check(samples: np.ndarray, rate: float, first: float, count: int) -> Checked:
    """Looks at clips that follow each other.

    Pieces are of 1 s, or of two samples where these take longer.

    Args:
        samples: (n,) float64 at `rate`, without a gap; NaN where there is no number.
        rate: Hz.
        first: seconds from the first sample to the start of the first clip.
        count: K.
    """
    finite = np.isfinite(samples)
    pieces = max(1, int(SECONDS / max(PIECE, 2 / rate)))
    borders = _borders(len(samples), rate, first, count, pieces)  # (K, P + 1)
    numbers = np.concatenate([[0], np.cumsum(finite, dtype=np.int32)])  # before each sample
    begins, ends = borders[:, 0], borders[:, -1]
    whole = numbers[ends] - numbers[begins] == ends - begins
    changes = np.concatenate([[0], np.cumsum(np.diff(samples) != 0, dtype=np.int32)])
    starts, stops = borders[:, :-1], borders[:, 1:]  # (K, P)
    steady = changes[np.maximum(stops - 1, starts)] == changes[np.minimum(starts, len(changes) - 1)]
    used = samples[begins[0] : ends[-1]][finite[begins[0] : ends[-1]]]
    return Checked(
        whole=whole,
        flat=steady.mean(axis=1, dtype=np.float32),
        low=float(used.min(initial=np.inf)),
        high=float(used.max(initial=-np.inf)),
    )


def filled(samples: np.ndarray) -> np.ndarray:
    """The samples with what is no number drawn as a line between its neighbours.

    Args:
        samples: (n,) float64.

    Returns:
        (n,) float64, all finite; zeros if none was.
    """
    finite = np.isfinite(samples)
    if finite.all():
        return samples
    known = np.flatnonzero(finite)
    if not len(known):
        return np.zeros(len(samples))
    return np.interp(np.arange(len(samples)), known, samples[known])


def _borders(samples: int, rate: float, first: float, count: int, pieces: int) -> np.ndarray:
    """(K, P + 1) number of the first sample of each piece of each clip, and of what follows."""
    within = np.linspace(0.0, SECONDS, pieces + 1)
    seconds = first + SECONDS * np.arange(count)[:, None] + within  # (K, P + 1)
    return np.clip(np.ceil(seconds * rate - 1e-6), 0, samples).astype(np.int64)
