"""How well stages were told: agreement with a scorer, by stage and beyond chance, over subjects."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from sleepfm_jax.evaluate import bootstrap
from sleepfm_jax.input_pipeline.hypnogram import STAGES

POOLED = "pooled"


@dataclasses.dataclass(frozen=True)
class Night:
    """Two hypnograms of a night, matched in time.

    Attributes:
        subject: whose night it is; subjects are resampled, with all their nights.
        cohort: where it was recorded.
        truth: (K,) stages of the scorer, 0 Wake, 1 N1, 2 N2, 3 N3, 4 REM, −1 unscored.
        prediction: (K,) stages of the model, numbered alike.
    """

    subject: str
    cohort: str
    truth: np.ndarray
    prediction: np.ndarray


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How well the stages of some nights were told; intervals are of 95 % by default.

    Attributes:
        confusion: (5, 5) steps by truth (rows) and prediction (columns).
        values: each number by its name: accuracy, macro-F1, kappa, and `F1 STAGE`.
        intervals: lower and upper limit of each, by its name.
        reasons: why a number or its interval is NaN, by its name; what is not has none.
        subjects: how many.
        nights: how many.
    """

    confusion: np.ndarray
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    reasons: dict[str, str]
    subjects: int
    nights: int


def confusion(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """(5, 5) steps by truth (rows) and prediction (columns), where both are scored.

    Args:
        truth: (K,) stages, −1 unscored.
        prediction: (K,) stages, −1 unscored.

    Raises:
        ValueError: they differ in length, or hold a number that is no stage.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape or truth.ndim != 1:
        raise ValueError(f"{truth.shape} stages cannot be compared with {prediction.shape}")
    both = np.concatenate([truth, prediction])
    if len(both) and not -1 <= both.min() <= both.max() < len(STAGES):
        raise ValueError(f"stages are −1 to {len(STAGES) - 1}: {both.min()} to {both.max()} found")
    scored = (truth >= 0) & (prediction >= 0)
    cells = truth[scored].astype(int) * len(STAGES) + prediction[scored]
    return np.bincount(cells, minlength=len(STAGES) ** 2).reshape(len(STAGES), len(STAGES))


def accuracy(confusions: np.ndarray) -> np.ndarray:
    """(...) share of (..., 5, 5) steps told right; NaN where there are none."""
    right = np.trace(confusions, axis1=-2, axis2=-1)
    return _ratio(right, confusions.sum(axis=(-2, -1)))


def f1(confusions: np.ndarray) -> np.ndarray:
    """(..., 5) F1 of each stage; NaN for one that neither has."""
    right = np.diagonal(confusions, axis1=-2, axis2=-1)
    return _ratio(2 * right, confusions.sum(axis=-1) + confusions.sum(axis=-2))


def macro_f1(confusions: np.ndarray) -> np.ndarray:
    """(...) mean F1 of the stages that truth or prediction has, each alike."""
    each = f1(confusions)
    there = np.isfinite(each)
    return _ratio(np.where(there, each, 0).sum(axis=-1), there.sum(axis=-1))


def kappa(confusions: np.ndarray) -> np.ndarray:
    """(...) Cohen's kappa, agreement beyond chance; NaN where both have but one and the same."""
    total = confusions.sum(axis=(-2, -1))
    chance = (confusions.sum(axis=-1) * confusions.sum(axis=-2)).sum(axis=-1)  # · total²
    right = np.trace(confusions, axis1=-2, axis2=-1)
    return _ratio(right * total - chance, total * total - chance)


def measures(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """All numbers of (..., 5, 5) confusion matrices, each (...), by name."""
    each = f1(confusions)
    return {
        "accuracy": accuracy(confusions),
        "macro-F1": macro_f1(confusions),
        "kappa": kappa(confusions),
        **{f"F1 {stage}": each[..., number] for number, stage in enumerate(STAGES)},
    }


def evaluate(
    nights: Sequence[Night], resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Agreement:
    """Agreement over nights, with intervals from resampling subjects.

    Args:
        nights: at least one.
        resamples: R; 0: no intervals.
        seed: of the draws.
        level: of the intervals.

    Raises:
        ValueError: there is no night, or one cannot be compared.
    """
    if not nights:
        raise ValueError("there is no night to judge")
    subjects, place = np.unique([night.subject for night in nights], return_inverse=True)
    each = np.zeros((len(subjects), len(STAGES), len(STAGES)))
    for subject, night in zip(place, nights, strict=True):
        each[subject] += confusion(night.truth, night.prediction)
    counts = bootstrap.multiplicities(len(subjects), resamples, seed).astype(float)  # (S, 1 + R)
    found = measures(np.einsum("sij,sr->rij", each, counts, optimize=True))  # (1 + R,) each
    total = each.sum(axis=0).astype(int)
    limits = {
        name: bootstrap.interval(samples[1:], level) if _resampled(samples, subjects) else _NONE
        for name, samples in found.items()
    }
    return Agreement(
        total,
        {name: float(samples[0]) for name, samples in found.items()},
        {name: (float(low), float(high)) for name, (low, high) in limits.items()},
        {name: why for name in found if (why := _reason(name, total, len(subjects), resamples))},
        len(subjects),
        len(nights),
    )


def by_cohort(
    nights: Sequence[Night], resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Agreement]:
    """Agreement in each cohort, and pooled over all of them.

    A subject of one cohort is another one than a subject of the same name in a second.

    Args:
        nights: at least one.
        resamples: R.
        seed: of the draws.
        level: of the intervals.

    Returns:
        By cohort, in the order of their names; `pooled` last, where there are several.
    """
    names = sorted({night.cohort for night in nights})
    found = {
        name: evaluate([n for n in nights if n.cohort == name], resamples, seed, level)
        for name in names
    }
    if len(names) != 1:
        apart = [dataclasses.replace(n, subject=f"{n.cohort}\0{n.subject}") for n in nights]
        found[POOLED] = evaluate(apart, resamples, seed, level)
    return found


_NONE = (np.nan, np.nan)


def _resampled(samples: np.ndarray, subjects: np.ndarray) -> bool:
    """Whether an interval can be given: of a number that is defined, over several subjects."""
    return len(samples) > 1 and len(subjects) > 1 and bool(np.isfinite(samples[0]))


def _reason(name: str, total: np.ndarray, subjects: int, resamples: int) -> str:
    """Why a number or its interval is NaN; empty if it is not."""
    if not total.any():
        return "no step is scored in both"
    if name.startswith("F1 ") and np.isnan(f1(total)[STAGES.index(name[3:])]):
        return f"{name[3:]} is neither in the scoring nor predicted"
    if name == "kappa" and np.isnan(kappa(total)):
        return "scoring and prediction hold one stage alone"
    if subjects < 2 and resamples:
        return "no interval: one subject cannot be resampled"
    return ""


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole != 0)
