"""Calibration: do as many fall ill as the model says, among those it gives like risks?"""

import dataclasses

import numpy as np

from sleepfm_jax.evaluate import survival

GROUPS = 5
LIMIT = 1.959963984540054  # of a 95 % interval, in standard errors


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Predicted and observed risk by a horizon in G groups of rising risk.

    Attributes:
        predicted: (G,) mean of the risks that the model gives.
        observed: (G,) by Kaplan–Meier; NaN where a group is not followed to the horizon.
        lower: (G,) of its 95 % interval, on the log(−log) scale, so within 0 and 1.
        upper: (G,).
        subjects: (G,).
        events: (G,) by the horizon.
    """

    predicted: np.ndarray
    observed: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    subjects: np.ndarray
    events: np.ndarray


def calibration(
    risk: np.ndarray, time: np.ndarray, event: np.ndarray, horizon: float, groups: int = GROUPS
) -> Calibration:
    """Compares risks with what happened, in groups of like risk.

    Args:
        risk: (N,) by the horizon, from `survival.risk`.
        time: (N,) days; −1 (unknown) are left out.
        event: (N,) bool.
        horizon: days.
        groups: G; a group is empty (NaN) where ties leave nobody for it.
    """
    known = (np.asarray(time) >= 0) & np.isfinite(risk)
    risk, time, event = risk[known], np.asarray(time)[known], np.asarray(event, bool)[known]
    group = survival.groups(risk, groups)
    rows = [
        _group(risk[at], time[at], event[at], horizon) for at in (group == g for g in range(groups))
    ]
    predicted, observed, lower, upper, subjects, events = map(np.array, zip(*rows, strict=True))
    return Calibration(predicted, observed, lower, upper, subjects, events)


def _group(
    risk: np.ndarray, time: np.ndarray, event: np.ndarray, horizon: float
) -> tuple[float, float, float, float, int, int]:
    if not len(risk):
        return np.nan, np.nan, np.nan, np.nan, 0, 0
    alive, error = survival.kaplan_meier(time, event).at(horizon)
    lower, upper = interval(alive, error)
    early = int((event & (time <= horizon)).sum())
    return float(risk.mean()), 1 - alive, 1 - upper, 1 - lower, len(risk), early


def interval(alive: float, error: float) -> tuple[float, float]:
    """95 % interval of a Kaplan–Meier estimate, on the log(−log) scale.

    Args:
        alive: survival.
        error: Greenwood's standard error.

    Returns:
        Lower and upper limit; NaN where the estimate is 0, 1 or NaN and the scale ends.
    """
    if not 0 < alive < 1:
        return np.nan, np.nan
    spread = LIMIT * error / (alive * np.log(alive))
    return float(alive ** np.exp(-spread)), float(alive ** np.exp(spread))
