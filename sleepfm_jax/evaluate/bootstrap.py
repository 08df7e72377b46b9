"""Resampling of subjects: how often each one is drawn, and what the spread of a number says."""

import numpy as np


def multiplicities(subjects: int, resamples: int, seed: int = 0) -> np.ndarray:
    """How often each subject is in each resample, drawn with replacement.

    Args:
        subjects: N.
        resamples: R.
        seed: equal seeds give equal draws, so that models can be compared on the same resamples.

    Returns:
        (N, 1 + R) float32; column 0 has every subject once, so that whatever is computed from the
        columns has the estimate itself in its first place. Every other column adds up to N.
    """
    draw = np.random.default_rng(seed)
    counts = np.ones((1 + resamples, subjects), np.float32)
    for row in counts[1:] if subjects else ():
        row[:] = np.bincount(draw.integers(subjects, size=subjects), minlength=subjects)
    return np.ascontiguousarray(counts.T)


def interval(samples: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Percentile interval of a number.

    Args:
        samples: (..., R) of the resamples, without the estimate. A resample in which the number is
            not defined (NaN) is left out.
        level: share of the resamples between the limits.

    Returns:
        (2, ...) lower and upper limit; NaN where no resample defines the number.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level}: give one between 0 and 1")
    tails = (1 - level) / 2
    return _ignoring_nan(np.nanquantile, samples, q=(tails, 1 - tails), axis=-1)


def standard_error(samples: np.ndarray) -> np.ndarray:
    """(...) standard deviation of a number over resamples.

    Args:
        samples: (..., R) of the resamples, without the estimate; NaN are left out.
    """
    return _ignoring_nan(np.nanstd, samples, axis=-1)


def _ignoring_nan(function, samples: np.ndarray, **arguments: object) -> np.ndarray:  # type: ignore[no-untyped-def]
    """NumPy's own warning says only that a result is NaN, which the caller gives a reason for."""
    empty = np.isnan(samples).all(axis=-1)
    return np.where(empty, np.nan, function(np.where(empty[..., None], 0.0, samples), **arguments))
