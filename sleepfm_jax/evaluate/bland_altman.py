"""Do two ways of measuring agree? Bland and Altman's bias and limits (Lancet 1986)."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Limits:
    """How a measurement differs from another one of the same things.

    Attributes:
        bias: mean difference.
        lower: bias less 1.96 standard deviations of the differences; NaN for fewer than two.
        upper: bias and 1.96 standard deviations.
        count: pairs in which both are known.
    """

    bias: float
    lower: float
    upper: float
    count: int


def limits(reference: np.ndarray, measured: np.ndarray) -> Limits:
    """Bias and limits of agreement.

    Args:
        reference: (n,); NaN where not known.
        measured: (n,) of the same things.
    """
    difference = np.asarray(measured, float) - np.asarray(reference, float)
    difference = difference[np.isfinite(difference)]
    if not len(difference):
        return Limits(np.nan, np.nan, np.nan, 0)
    bias = float(difference.mean())
    spread = 1.96 * float(difference.std(ddof=1)) if len(difference) > 1 else np.nan
    return Limits(bias, bias - spread, bias + spread, len(difference))
