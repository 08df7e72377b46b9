"""Survival of a cohort: Kaplan–Meier, the Breslow baseline of a Cox model, risk by a horizon."""

import dataclasses

import numpy as np

YEAR = 365.25  # days


@dataclasses.dataclass(frozen=True)
class Curve:
    """Survival over time.

    Attributes:
        times: (K,) at which anyone falls ill or leaves, rising.
        survival: (K,) from each time on; 1 before the first.
        error: (K,) Greenwood's standard error of it.
        at_risk: (K,) subjects right before each time.
        events: (K,) at each time.
    """

    times: np.ndarray
    survival: np.ndarray
    error: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray

    def at(self, time: float) -> tuple[float, float]:
        """Survival and its standard error at a time.

        Returns:
            NaN twice if nobody is followed that long and someone left before without an event.
        """
        row = int(np.searchsorted(self.times, time, side="right")) - 1
        if row < 0:
            return (1.0, 0.0) if len(self.times) else (np.nan, np.nan)
        if time > self.times[-1] and self.survival[-1] > 0:
            return np.nan, np.nan
        return float(self.survival[row]), float(self.error[row])


def kaplan_meier(time: np.ndarray, event: np.ndarray) -> Curve:
    """The Kaplan–Meier estimate.

    Args:
        time: (N,) to the event or the end of the records; −1 (unknown) are left out.
        event: (N,) bool.
    """
    times, at_risk, events, _ = _table(time, event)
    survival = np.cumprod(1 - events / at_risk)
    left = at_risk - events
    steps = np.divide(events, at_risk * left, out=np.zeros(len(times)), where=left > 0)
    return Curve(times, survival, survival * np.sqrt(np.cumsum(steps)), at_risk, events)


def uncensored(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chance of not having been censored by each time, where events come before censorings.

    Args:
        time: (N,); −1 (unknown) are left out.
        event: (N,) bool.

    Returns:
        Times (K,) and chances (K,) up to and including each.
    """
    times, at_risk, events, censored = _table(time, event)
    left = at_risk - events
    share = np.divide(censored, left, out=np.zeros(len(times)), where=left > 0)
    return times, np.cumprod(1 - share)


def baseline(
    log_hazard: np.ndarray, time: np.ndarray, event: np.ndarray, times: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Breslow's cumulative baseline hazard of each label, from training subjects.

    Args:
        log_hazard: (N, L) that the model gives them.
        time: (N, L) days; −1: unknown.
        event: (N, L) bool.
        times: (K,) days, rising, at which it is wanted, as a month apart so that a thousand labels
            stay small; None: every day of an event of any label.

    Returns:
        The times (K,), and the hazard (K, L) accumulated up to and including each; zeros for a
        label without events.
    """
    time, event = np.asarray(time, float), np.asarray(event, bool)
    if times is None:
        times = np.unique(time[event & (time >= 0)])
    cumulative = np.zeros((len(times), time.shape[1]))
    for label in range(time.shape[1]):
        own, hazard = _breslow(log_hazard[:, label], time[:, label], event[:, label])
        row = np.searchsorted(own, times, side="right")
        cumulative[:, label] = np.append(0.0, hazard)[row]
    return times, cumulative


def risk(
    log_hazard: np.ndarray, times: np.ndarray, cumulative: np.ndarray, horizon: float
) -> np.ndarray:
    """Chance of an event by a horizon: 1 − exp(−H₀(horizon) · exp(log hazard)).

    Args:
        log_hazard: (N, L).
        times: (K,) of the baseline, as from `baseline`.
        cumulative: (K, L).
        horizon: days.

    Returns:
        (N, L); NaN for a label whose baseline knows no event.
    """
    row = np.searchsorted(times, horizon, side="right")
    hazard = np.vstack([np.zeros(cumulative.shape[1]), cumulative])[row]  # (L,)
    with np.errstate(over="ignore"):  # of an absurd hazard the risk is 1
        found = -np.expm1(-hazard * np.exp(np.asarray(log_hazard, float)))
    never = cumulative.max(axis=0, initial=0) == 0
    return np.where(never, np.nan, found)


def groups(score: np.ndarray, count: int) -> np.ndarray:
    """(N,) group of each subject, from 0 (lowest scores), as equal in size as ties allow.

    Args:
        score: (N,); equal scores come into one group.
        count: of groups.
    """
    order = np.sort(score)
    below = np.searchsorted(order, score, side="left")
    upto = np.searchsorted(order, score, side="right")
    middle = (below + upto) / 2 / max(1, len(score))
    return np.minimum((middle * count).astype(int), count - 1)


def _breslow(
    log_hazard: np.ndarray, time: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Days with events of one label and the hazard up to each."""
    known = time >= 0
    time, event = time[known], event[known]
    own = np.unique(time[event])
    if not len(own):
        return own, np.zeros(0)
    score = np.asarray(log_hazard, float)[known]
    top = score.max()
    order = np.argsort(time)
    at_risk = np.exp(score[order] - top)[::-1].cumsum()[::-1]  # of all from this one on
    first = np.searchsorted(time[order], own)
    deaths = np.unique(time[event], return_counts=True)[1]
    return own, np.cumsum(deaths / at_risk[first]) * np.exp(-top)


def _table(
    time: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct times, and at each how many are at risk, have the event, are censored."""
    time, event = np.asarray(time, float), np.asarray(event, bool)
    known = time >= 0
    times, place = np.unique(time[known], return_inverse=True)
    events = np.bincount(place[event[known]], minlength=len(times))
    together = np.bincount(place, minlength=len(times))
    at_risk = together[::-1].cumsum()[::-1]
    return times, at_risk, events, together - events
