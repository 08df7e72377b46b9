"""AUROC at a horizon: who falls ill within six years, though not everyone is followed that long.

Events are weighted by the inverse chance of not having been censored before (Uno et al. 2007).
"""

from collections.abc import Callable

import numpy as np

from sleepfm_jax.evaluate import pairs, survival

SIX_YEARS = 6 * survival.YEAR  # days


def auroc(
    log_hazard: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    horizon: float = SIX_YEARS,
    multiplicities: np.ndarray | None = None,
    advance: Callable[[], object] | None = None,
) -> np.ndarray:
    """AUROC of each label at a horizon, in each resample.

    Cases have their event by the horizon; controls are followed beyond it without one. The
    chances of censoring are those of the whole cohort in every resample.

    Args:
        log_hazard: (N, L); equal ones count half.
        time: (N, L) days; −1: unknown, left out.
        event: (N, L) bool.
        horizon: days.
        multiplicities: (N, R) as from `bootstrap.multiplicities`; None: the cohort alone, R = 1.
        advance: called as each label is done.

    Returns:
        (L, R); NaN where `reason` has one, and in resamples without cases or controls.
    """
    event = np.asarray(event, bool)
    if multiplicities is None:
        multiplicities = np.ones((len(time), 1), np.float32)

    def one(label: int) -> np.ndarray:
        score, until, ill = log_hazard[:, label], time[:, label], event[:, label]
        return _label(score, until, ill, horizon, multiplicities)

    return np.stack(pairs.each_label(one, np.shape(time)[1], advance) or [np.empty((0,))])


def reason(score: np.ndarray, time: np.ndarray, event: np.ndarray, horizon: float) -> str:
    """Why a label has no AUROC; empty if it has one.

    Args:
        score: (N,).
        time: (N,) days; −1: unknown.
        event: (N,) bool.
        horizon: days.
    """
    cases, controls = _sides(time, event, horizon)
    if not cases.any():
        return "no event by the horizon"
    if not controls.any():
        return "nobody is followed beyond the horizon"
    if np.isnan(np.asarray(score)[cases | controls]).any():
        return "a log hazard is no number"
    return ""


def _sides(time: np.ndarray, event: np.ndarray, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """(N,) who is a case, and who a control."""
    time = np.asarray(time, float)
    return np.asarray(event, bool) & (time >= 0) & (time <= horizon), time > horizon


def _label(
    score: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    horizon: float,
    multiplicities: np.ndarray,
) -> np.ndarray:
    """(R,) of one label."""
    R = multiplicities.shape[1]
    if reason(score, time, event, horizon):
        return np.full(R, np.nan)
    cases, controls = (np.flatnonzero(side) for side in _sides(time, event, horizon))
    times, free = survival.uncensored(time, event)
    weight = 1 / free[np.searchsorted(times, time[cases])]  # (E,)
    rank = pairs.ranks(score[np.concatenate([cases, controls])])
    counts = multiplicities[controls]  # (n, R)
    start = np.zeros(len(cases), int)
    won = pairs.balance(rank[: len(cases)], rank[len(cases) :], start, counts)  # (E, R)
    weights = weight[:, None] * multiplicities[cases]  # (E, R)
    compared = weights.sum(axis=0) * counts.sum(axis=0)
    share = np.divide(
        np.einsum("er,er->r", weights, won), compared, out=np.full(R, np.nan), where=compared > 0
    )
    return (1 + share) / 2
