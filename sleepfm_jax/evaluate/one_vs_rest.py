"""AUROC and average precision of one class against the rest, in every resample of the subjects."""

import numpy as np

RESAMPLES = 32  # at a time; at 90 000 samples their weights take 12 MB


def areas(
    positive: np.ndarray, score: np.ndarray, subject: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Areas under the ROC curve and under the precision–recall curve.

    The second is average precision: the mean, over positives, of the precision at each. Equal
    scores are one threshold. All resamples share one order of the scores.

    Args:
        positive: (N,) bool.
        score: (N,), higher for positives.
        subject: (N,) int, row of `counts`.
        counts: (S, R) float32, how often each subject is in each resample.

    Returns:
        (R,) AUROC, NaN where positives or negatives are absent; (R,) average precision, NaN where
        positives are absent. Sums of weights are exact below 2^24 samples.
    """
    order = np.argsort(-np.asarray(score), kind="stable")
    ranked, hit, subject = np.asarray(score)[order], np.flatnonzero(positive[order]), subject[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # last of each threshold
    threshold = np.searchsorted(ends, hit)  # of each positive
    last = ends[threshold]  # (P,) up to here a positive's threshold lets through
    before = np.where(threshold > 0, ends[threshold - 1] + 1, 0)  # (P,) first it lets through
    to_last = np.searchsorted(hit, last, side="right")  # (P,) positives let through
    to_before = np.searchsorted(hit, before)
    roc, precision = np.empty((2, counts.shape[1]))
    for start in range(0, counts.shape[1], RESAMPLES):
        part = slice(start, start + RESAMPLES)
        drawn = np.ascontiguousarray(counts[:, part].T)  # (r, S)
        upto = _sums(drawn[:, subject])  # (r, 1 + N) weight of the first n samples
        weight = drawn[:, subject[hit]]  # (r, P)
        true = _sums(weight)  # (r, 1 + P)
        passed, true_passed = upto[:, last + 1], true[:, to_last]  # (r, P)
        false = passed - true_passed + upto[:, before] - true[:, to_before]  # twice, ties halved
        positives, negatives = true[:, -1].astype(float), (upto[:, -1] - true[:, -1]).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            above = np.einsum("rp,rp->r", weight, false, dtype=np.float64) / 2
            roc[part] = 1 - above / (positives * negatives)
            share = np.divide(true_passed, np.maximum(passed, 1), dtype=np.float64)
            precision[part] = np.einsum("rp,rp->r", weight, share) / positives
    return roc, precision


def _sums(weight: np.ndarray) -> np.ndarray:
    """(r, 1 + n) sums of the first columns of (r, n)."""
    found = np.zeros((len(weight), 1 + weight.shape[1]), np.float32)
    np.cumsum(weight, axis=1, out=found[:, 1:])
    return found
