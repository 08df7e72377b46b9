"""Harrell's C-index of many diseases at once, and in every resample of a bootstrap.

A disease of nobody, or of nobody who can be compared, has no C-index: NaN and a reason, never ½.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from sleepfm_jax.evaluate import bootstrap, pairs, significance

FEWEST_EVENTS = 10  # below, resampling subjects says too little about the spread of a C-index


@dataclasses.dataclass(frozen=True)
class Discrimination:
    """How well scores order L diseases.

    Attributes:
        estimate: (L,) the number: a C-index, an AUROC, or a difference of two.
        lower: (L,) of the percentile interval; NaN below `FEWEST_EVENTS` events.
        upper: (L,).
        p: (L,) two-sided p-value against chance, or of the difference.
        p_bonferroni: (L,) times the number of labels tested.
        q: (L,) by Benjamini and Hochberg.
        reasons: (L,) why the estimate or its interval is NaN; empty where neither is.
    """

    estimate: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p: np.ndarray
    p_bonferroni: np.ndarray
    q: np.ndarray
    reasons: tuple[str, ...]


def concordance(log_hazard: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Harrell's C-index of each label.

    Of all pairs in which one subject is known to fall ill before the other (an event and a
    censoring on one day are such a pair, two events are not), the share in which that one has the
    higher score; equal scores count half.

    Args:
        log_hazard: (N, L); what orders the subjects, higher is earlier.
        time: (N, L) days to the event or the end of the records; −1: unknown, left out.
        event: (N, L) bool.

    Returns:
        (L,) float64; NaN where `reasons` has one.
    """
    return resampled(log_hazard, time, event, np.ones((len(time), 1), np.float32))[:, 0]


def resampled(
    log_hazard: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    multiplicities: np.ndarray,
    advance: Callable[[], object] | None = None,
) -> np.ndarray:
    """Harrell's C-index of each label in each resample.

    Args:
        log_hazard: (N, L).
        time: (N, L) days; −1: unknown.
        event: (N, L) bool.
        multiplicities: (N, R) float32, as from `bootstrap.multiplicities`.
        advance: called as each label is done.

    Returns:
        (L, R) float64, exact; NaN where a resample has no comparable pair.

    Raises:
        ValueError: shapes differ.
    """
    log_hazard, time, event = _checked(log_hazard, time, event)

    def one(label: int) -> np.ndarray:
        return _label(log_hazard[:, label], time[:, label], event[:, label], multiplicities)

    return np.stack(pairs.each_label(one, time.shape[1], advance) or [np.empty((0,))])


def evaluate(
    samples: np.ndarray, time: np.ndarray, event: np.ndarray, reasons: tuple[str, ...]
) -> Discrimination:
    """Intervals and p-values of C-indices.

    p-values are of z = (C − ½) / SE, where SE is the larger one of the bootstrap's and of a
    score's that knows nothing (`null_error`): with few events the bootstrap alone, which keeps
    drawing the same ones, would take chance for certainty.

    Args:
        samples: (L, 1 + R) from `resampled`, the estimate first.
        time: (N, L) days; −1: unknown.
        event: (N, L) bool.
        reasons: (L,) as from `reasons`.
    """
    error = np.fmax(bootstrap.standard_error(samples[:, 1:]), null_error(time, event))
    return summarise(samples, significance.z_test(samples[:, 0] - 0.5, error), event, reasons)


def difference(
    samples: np.ndarray, others: np.ndarray, event: np.ndarray, reasons: tuple[str, ...]
) -> Discrimination:
    """How much better one model orders the same subjects than another.

    Args:
        samples: (L, 1 + R) of the one model.
        others: (L, 1 + R) of the other, in the same resamples.
        event: (N, L) bool.
        reasons: (L,) as from `reasons`.
    """
    paired = samples - others
    p = significance.z_test(paired[:, 0], bootstrap.standard_error(paired[:, 1:]))
    enough = np.asarray(event, bool).sum(axis=0) >= FEWEST_EVENTS
    return summarise(paired, np.where(enough, p, np.nan), event, reasons)


def summarise(
    samples: np.ndarray, p: np.ndarray, event: np.ndarray, reasons: tuple[str, ...]
) -> Discrimination:
    """Intervals of (L, 1 + R) samples, where there are events enough, and corrected p-values."""
    events = np.asarray(event, bool).sum(axis=0)
    lower, upper = bootstrap.interval(samples[:, 1:])
    few = events < FEWEST_EVENTS
    lower, upper = np.where(few, np.nan, lower), np.where(few, np.nan, upper)
    why = tuple(
        reason or (f"no interval: {count} events are too few" if scarce else "")
        for reason, count, scarce in zip(reasons, events, few, strict=True)
    )
    return Discrimination(
        samples[:, 0],
        lower,
        upper,
        p,
        significance.bonferroni(p),
        significance.benjamini_hochberg(p),
        why,
    )


def reasons(log_hazard: np.ndarray, time: np.ndarray, event: np.ndarray) -> tuple[str, ...]:
    """(L,) why a label has no C-index; empty where it has one.

    Args:
        log_hazard: (N, L).
        time: (N, L) days; −1: unknown.
        event: (N, L) bool.
    """
    log_hazard, time, event = _checked(log_hazard, time, event)
    return tuple(_reason(*columns) for columns in zip(log_hazard.T, time.T, event.T, strict=True))


def null_error(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Standard error that the C-index of scores without any knowledge has, by label.

    Over all orders of the subjects: with a_i the pairs in which i falls ill first less those in
    which the other does, and P pairs, it is √((Σ a_i² + P) / 12) / P.

    Args:
        time: (N, L) days; −1: unknown.
        event: (N, L) bool.

    Returns:
        (L,) NaN without comparable pairs.
    """
    found = np.full(np.shape(time)[1], np.nan)
    for label in range(len(found)):
        order, first, rows = _comparable(*_known(time[:, label], event[:, label]))
        if len(rows):
            n = len(order)
            surplus = -np.bincount(first, minlength=n).cumsum()  # earlier events, for each
            surplus[rows] += n - first
            count = (n - first).sum()
            found[label] = np.sqrt((np.square(surplus, dtype=float).sum() + count) / 12) / count
    return found


def _label(
    score: np.ndarray, time: np.ndarray, event: np.ndarray, multiplicities: np.ndarray
) -> np.ndarray:
    """(R,) C-indices of one label."""
    known = time >= 0
    R = multiplicities.shape[1]
    order, first, rows = _comparable(time[known], event[known])
    if not len(rows) or np.isnan(score[known]).any():
        return np.full(R, np.nan)
    rank = pairs.ranks(score[known][order])
    counts = multiplicities[np.flatnonzero(known)[order]]  # (n, R), by time
    times = counts[rows].astype(np.float64)  # (E, R) how often each event is drawn
    won = np.einsum("er,er->r", times, pairs.balance(rank[rows], rank, first, counts))
    compared = np.einsum("er,er->r", times, pairs.weigh(first, counts))
    return np.divide(
        (won + compared) / 2, compared, out=np.full(R, np.nan), where=compared > 0
    )  # a pair that is won counts 1, one that is lost 0, a tie ½


def _comparable(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which subjects can be compared.

    Returns:
        The order by time; of each event that is followed by anyone the place from which on all
        are known to have fared better; and its own place.
    """
    key = 2 * np.unique(time, return_inverse=True)[1] + ~event  # events before censorings
    order = np.argsort(key, kind="stable")
    rows = np.flatnonzero(event[order])
    first = np.searchsorted(key[order], key[order][rows], side="right")
    followed = first < len(order)
    return order, first[followed], rows[followed]


def _known(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.asarray(time) >= 0
    return np.asarray(time)[known], np.asarray(event, bool)[known]


def _reason(score: np.ndarray, time: np.ndarray, event: np.ndarray) -> str:
    known = time >= 0
    if not known.any():
        return "no outcome is known"
    if not event[known].any():
        return "no event"
    if np.isnan(score[known]).any():
        return "a log hazard is no number"
    if not len(_comparable(time[known], event[known])[2]):
        return "no comparable pair: nobody is followed longer than the first event"
    return ""


def _checked(
    log_hazard: np.ndarray, time: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    log_hazard, time, event = np.asarray(log_hazard), np.asarray(time), np.asarray(event, bool)
    if not log_hazard.shape == time.shape == event.shape or time.ndim != 2:
        raise ValueError(
            f"log hazards {log_hazard.shape}, times {time.shape} and events {event.shape} are not "
            "all (subjects, labels)"
        )
    return log_hazard, np.nan_to_num(time, nan=-1.0), event
