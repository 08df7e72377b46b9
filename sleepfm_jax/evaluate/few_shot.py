"""How much a probe learns from few subjects: a curve over their number, each drawn repeatedly."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sleepfm_jax.evaluate import bootstrap, pairs, probe
from sleepfm_jax.evaluate.classification import class_scores

NUMBERS = ("macro AUROC", "macro AUPRC", "macro-F1")


class Samples(NamedTuple):
    """Features with their classes.

    Attributes:
        x: (n, F) features.
        y: (n,) classes, 0 to K − 1.
        subject: (n,) whose each is.
    """

    x: np.ndarray
    y: np.ndarray
    subject: np.ndarray


@dataclasses.dataclass(frozen=True)
class Shots:
    """What was learnt from k subjects, drawn repeatedly.

    Attributes:
        subjects: k.
        values: (repeats,) by name, of `NUMBERS`; NaN for a draw that could not be fitted.
        samples: (repeats,) how many each draw was fitted on.
        incomplete: draws that lack a class of the training data, which the probe then never tells.
        unfitted: draws that hold one class alone.
    """

    subjects: int
    values: dict[str, np.ndarray]
    samples: np.ndarray
    incomplete: int
    unfitted: int

    def mean(self, name: str) -> float:
        """Over the draws that could be fitted; NaN if none could."""
        known = self.values[name][np.isfinite(self.values[name])]
        return float(known.mean()) if len(known) else np.nan

    def spread(self, name: str) -> float:
        """Standard deviation over these draws."""
        return float(bootstrap.standard_error(self.values[name]))


def few_shot(
    train: Samples,
    test: Samples,
    classes: int,
    shots: Sequence[int],
    repeats: int = 10,
    seed: int = 0,
    strength: float = probe.STRENGTH,
    advance: Callable[[], object] | None = None,
) -> tuple[Shots, ...]:
    """Fits the probe on a few training subjects at a time and judges it on all test samples.

    A draw of more subjects holds those of the smaller draws of its repeat, so that steps along a
    curve are not the luck of the draw.

    Args:
        train: the subjects to draw from.
        test: whom to judge on.
        classes: K.
        shots: numbers of subjects.
        repeats: draws for each.
        seed: of the draws.
        strength: C of scikit-learn.
        advance: called after each fit, `repeats` times for each number, from threads, as a progress
            bar's `update`.

    Raises:
        ValueError: a number is below 1 or above the number of training subjects.
    """
    subjects, own = np.unique(train.subject, return_inverse=True)
    wrong = [k for k in shots if not 1 <= k <= len(subjects)]
    if wrong:
        raise ValueError(f"{wrong[0]} of {len(subjects)} training subjects cannot be drawn")
    orders = [np.random.default_rng([seed, r]).permutation(len(subjects)) for r in range(repeats)]

    def draw(number: int) -> tuple[int, bool, list[float]]:
        k, order = shots[number // repeats], orders[number % repeats]
        rows = np.isin(own, order[:k])
        complete = len(np.unique(train.y[rows])) == len(np.unique(train.y))
        return int(rows.sum()), complete, _judged(train, rows, test, classes, strength)

    draws = pairs.each_label(draw, len(shots) * repeats, advance)
    return tuple(
        _summed(k, draws[place * repeats : (place + 1) * repeats]) for place, k in enumerate(shots)
    )


def _judged(
    train: Samples, rows: np.ndarray, test: Samples, classes: int, strength: float
) -> list[float]:
    """The numbers of one draw; NaN if it holds one class alone."""
    y = train.y[rows]
    if len(np.unique(y)) < 2:
        return [np.nan] * len(NUMBERS)
    classifier = probe.fit(train.x[rows], y, strength, overwrite=True)
    names = [str(k) for k in range(classes)]
    told = classifier.probabilities(test.x, range(classes))
    found = class_scores(test.y, told, test.subject, names, resamples=0)
    return [found.values[name] for name in NUMBERS]


def _summed(k: int, draws: Sequence[tuple[int, bool, list[float]]]) -> Shots:
    samples, complete, values = (np.array(column) for column in zip(*draws, strict=True))
    return Shots(
        subjects=k,
        values=dict(zip(NUMBERS, values.T, strict=True)),
        samples=samples,
        incomplete=int((~complete).sum()),
        unfitted=int(np.isnan(values).all(axis=1).sum()),
    )
