"""Is a number more than chance? z tests, and corrections for testing many labels."""

import numpy as np
from scipy import special, stats


def z_test(difference: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Two-sided p-values of differences from nothing, as normally distributed ones.

    Counting resamples could not pass a correction for a thousand labels: it ends at one over their
    number.

    Args:
        difference: (L,).
        error: (L,) standard errors; where one is 0 the p-value is NaN.

    Returns:
        (L,) NaN where a difference or error is.
    """
    difference, error = np.asarray(difference, float), np.asarray(error, float)
    z = np.divide(difference, error, out=np.full_like(difference, np.nan), where=error > 0)
    return special.erfc(np.abs(z) / np.sqrt(2))


def bonferroni(p: np.ndarray) -> np.ndarray:
    """(L,) p-values times the number of tests, at most 1: the chance that any is wrong.

    Args:
        p: (L,); NaN were not tested and do not count.
    """
    p = np.asarray(p, float)
    return np.minimum(p * np.isfinite(p).sum(), 1)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """(L,) q-values: those up to 0.05 hold 5 % of false ones (Benjamini & Hochberg 1995).

    Args:
        p: (L,); NaN were not tested and do not count.
    """
    p = np.asarray(p, float)
    q = np.full_like(p, np.nan)
    tested = np.isfinite(p)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested])
    return q
