"""How well classes were told from probabilities: AUROC, AUPRC and agreement, over subjects."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from sleepfm_jax.evaluate import bootstrap, one_vs_rest, pairs, staging

AREAS = ("AUROC", "AUPRC")


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """How well the classes of some samples were told.

    Names of numbers are `macro AUROC` and `macro AUPRC` (means over the classes that have them),
    `accuracy`, `macro-F1`, `kappa`, and `AUROC CLASS`, `AUPRC CLASS`, `F1 CLASS`, one against the
    rest. AUPRC is average precision.

    Attributes:
        values: each number by its name.
        intervals: lower and upper limit of each, by its name.
        reasons: why a number or its interval is NaN, or a mean is of fewer classes, by its name.
        prevalence: share of the samples that are of each class, which is AUPRC by guessing.
        confusion: (K, K) samples by truth (rows) and most probable class (columns).
        samples: how many.
        subjects: how many.
    """

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    reasons: dict[str, str]
    prevalence: dict[str, float]
    confusion: np.ndarray
    samples: int
    subjects: int


def class_scores(
    truth: np.ndarray,
    probabilities: np.ndarray,
    subject: np.ndarray,
    names: Sequence[str],
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> ClassScores:
    """Judges probabilities, with intervals from resampling subjects.

    Resamples in which a number is not defined, as a mean in one that lacks a class, are left out.

    Args:
        truth: (N,) classes, 0 to K − 1.
        probabilities: (N, K).
        subject: (N,) whose sample each is.
        names: of the K classes.
        resamples: R; 0: no intervals.
        seed: of the draws.
        level: of the intervals.

    Raises:
        ValueError: there is nothing to judge, a probability is no number, or a class has no column.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    _check(truth, probabilities, len(names))
    known, own = np.unique(subject, return_inverse=True)
    counts = bootstrap.multiplicities(len(known), resamples, seed)  # (S, 1 + R)
    found = _areas(truth, probabilities, own, counts)  # (2, K, 1 + R)
    each = _confusions(truth, probabilities.argmax(axis=1), own, len(names))  # (S, K, K)
    drawn = np.einsum("sij,sr->rij", each, counts.astype(float), optimize=True)
    samples = dict(_numbers(found, drawn, names))
    total = each.sum(axis=0)
    absent = [name for name, k in zip(names, total.sum(axis=1), strict=True) if not k]
    some = resamples > 0 and len(known) > 1
    limits = {
        name: bootstrap.interval(sample[1:], level)
        if some and np.isfinite(sample[0])
        else (np.nan, np.nan)
        for name, sample in samples.items()
    }
    return ClassScores(
        values={name: float(sample[0]) for name, sample in samples.items()},
        intervals={name: (float(low), float(high)) for name, (low, high) in limits.items()},
        reasons=dict(_reasons(samples, absent, resamples > 0 and not some)),
        prevalence=dict(zip(names, (total.sum(axis=1) / len(truth)).tolist(), strict=True)),
        confusion=total,
        samples=len(truth),
        subjects=len(known),
    )


def _check(truth: np.ndarray, probabilities: np.ndarray, K: int) -> None:
    if not len(truth):
        raise ValueError("there is no sample to judge")
    if probabilities.shape != (len(truth), K):
        raise ValueError(
            f"{probabilities.shape} probabilities are given for {len(truth)} samples of {K} classes"
        )
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is no number")
    if not 0 <= truth.min() <= truth.max() < K:
        raise ValueError(f"classes are 0 to {K - 1}: {truth.min()} to {truth.max()} found")


def _areas(
    truth: np.ndarray, probabilities: np.ndarray, own: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """(2, K, 1 + R) AUROC and AUPRC of every class in every resample."""

    def one(k: int) -> tuple[np.ndarray, np.ndarray]:
        return one_vs_rest.areas(truth == k, probabilities[:, k], own, counts)

    return np.stack(pairs.each_label(one, probabilities.shape[1]), axis=1)


def _confusions(truth: np.ndarray, told: np.ndarray, own: np.ndarray, K: int) -> np.ndarray:
    """(S, K, K) samples of each subject by truth and by what was told."""
    cells = (own * K + truth) * K + told
    return np.bincount(cells, minlength=(own.max() + 1) * K * K).reshape(-1, K, K)


def _numbers(
    areas: np.ndarray, confusions: np.ndarray, names: Sequence[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Each number by its name, (1 + R,); the first is the estimate."""
    for name, area in zip(AREAS, areas, strict=True):
        there = area[np.isfinite(area[:, 0])]  # (k, 1 + R)
        yield f"macro {name}", there.mean(axis=0) if len(there) else np.full(area.shape[1], np.nan)
    yield "accuracy", staging.accuracy(confusions)
    yield "macro-F1", staging.macro_f1(confusions)
    yield "kappa", staging.kappa(confusions)
    for k, name in enumerate(names):
        for kind, area in zip(AREAS, areas, strict=True):
            yield f"{kind} {name}", area[k]
        yield f"F1 {name}", staging.f1(confusions)[:, k]


def _reasons(
    samples: dict[str, np.ndarray], absent: Sequence[str], alone: bool
) -> Iterator[tuple[str, str]]:
    """Why a number or its interval is NaN, or not what it seems."""
    for name, sample in samples.items():
        if np.isfinite(sample[0]):
            if name.startswith("macro A") and absent:
                yield name, f"the test data have no {', '.join(absent)}: a mean of the others"
            elif alone:
                yield name, "no interval: one subject cannot be resampled"
        elif name == "kappa":
            yield name, "truth and prediction hold one class alone"
        elif name.split(" ", 1)[-1] in absent:
            yield name, f"the test data have no {name.split(' ', 1)[-1]}"
        else:
            yield name, "the test data hold one class alone"
