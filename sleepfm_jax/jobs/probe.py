"""A linear probe of stored embeddings for sleep stages: tables, pictures, and what was used."""

import dataclasses
import functools
import logging
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate import probe as linear
from sleepfm_jax.evaluate.classification import ClassScores, class_scores
from sleepfm_jax.evaluate.few_shot import Samples, Shots, few_shot
from sleepfm_jax.evaluate.probe import Classifier
from sleepfm_jax.input_pipeline import embedded_rows
from sleepfm_jax.input_pipeline.embedded_rows import Choice, EmbeddedRows
from sleepfm_jax.input_pipeline.embedding_layouts import EPOCHS
from sleepfm_jax.input_pipeline.hypnogram import STAGES
from sleepfm_jax.jobs import pictures, probe_pictures, probe_tables, result_tables

log = logging.getLogger(__name__)

ALL, EACH = "all", "each"


@dataclasses.dataclass(frozen=True)
class Plan:
    """How embeddings are probed.

    Attributes:
        train: split that the classifier is fitted on.
        test: split that it is judged on.
        modality: one by its name, "all" side by side, or "each" alone and then all.
        shots: numbers of training subjects of a few-shot curve; empty: none.
        repeats: draws of each.
        strength: C of scikit-learn's logistic regression, on standardised features.
        seed: of all draws.
        resamples: of subjects, for the intervals.
    """

    train: str = "train"
    test: str = "test"
    modality: str = ALL
    shots: tuple[int, ...] = ()
    repeats: int = 10
    strength: float = linear.STRENGTH
    seed: int = 0
    resamples: int = 1000

    def __post_init__(self) -> None:
        if self.train == self.test:
            raise InputError(f"split {self.train} cannot be both trained and judged on: give two")
        if not self.strength > 0:
            raise InputError(f"a strength of {self.strength:g} fits nothing: give more than 0")


@dataclasses.dataclass(frozen=True)
class Probed:
    """What was told from one modality, or from all.

    Attributes:
        modality: its name, or "all".
        scores: on the test split.
        truth: (n,) stages of the test split.
        probabilities: (n, 5) float32, by stage.
        classifier: that was fitted.
        train_subjects: how many.
        lacking: rows that were left out because they lack the modality.
        shots: of the few-shot curve, by rising numbers of subjects.
    """

    modality: str
    scores: ClassScores
    truth: np.ndarray
    probabilities: np.ndarray
    classifier: Classifier
    train_subjects: int
    lacking: int
    shots: tuple[Shots, ...]


def probe(
    folder: Path, output: Path, choice: Choice | None = None, plan: Plan | None = None
) -> tuple[EmbeddedRows, list[Probed]]:
    """Fits logistic regression to the stages of one split and judges it on another.

    Args:
        folder: of embeddings, of any model here.
        output: folder for the results.
        choice: what is read of the folder; rows are epochs.
        plan: how it is probed; None: the default.

    Returns:
        What was read, and what was told, by modality.

    Raises:
        InputError: the embeddings cannot be used, or nothing can be fitted or judged.
    """
    plan, choice = plan or Plan(), dataclasses.replace(choice or Choice(), rows=EPOCHS)
    result_tables.refuse_inside(output, folder)
    rows = embedded_rows.read(folder, choice, (plan.train, plan.test), scored=True)
    sets = _modalities(rows, plan)
    _refuse_shots(rows, plan)
    found = []
    for name, modalities in sets.items():
        try:
            found.append(_probed(rows, plan, name, modalities))
        except ValueError as error:
            raise InputError(
                f"{folder}: {name} cannot be probed ({error}): check the labels and the splits"
            ) from error
    probe_tables.write(output, rows, plan, found)
    pictures.save(functools.partial(probe_pictures.stages, found), output / "stages.png")
    if plan.shots:
        pictures.save(functools.partial(probe_pictures.few_shot, found), output / "few_shot.png")
    return rows, found


def _modalities(rows: EmbeddedRows, plan: Plan) -> dict[str, list[int]]:
    """Which modalities are probed together, by name; what nobody has is not probed alone."""
    names, found = rows.modalities, {ALL: [*range(len(rows.modalities))]}
    alone = {name: [number] for number, name in enumerate(names)}
    if plan.modality not in (EACH, *found, *alone):
        raise InputError(
            f"no modality is called {plan.modality!r}: give {', '.join(names)}, {ALL} or {EACH}"
        )
    if plan.modality != EACH:
        return {plan.modality: (found | alone)[plan.modality]}
    parts = [rows.present[rows.of_split(split)] for split in (plan.train, plan.test)]
    there = np.all([part.any(axis=0) for part in parts], axis=0)  # (M,)
    for name in np.array(names)[~there]:
        log.warning("%s is not probed: no epoch of %s or %s has it", name, plan.train, plan.test)
    return {name: alone[name] for name in np.array(names)[there].tolist()} | found


def _refuse_shots(rows: EmbeddedRows, plan: Plan) -> None:
    there = len(np.unique(rows.subject_of[rows.of_split(plan.train)]))
    most = max(plan.shots, default=0)
    if most > there:
        raise InputError(
            f"{most} subjects cannot be drawn for the few-shot curve, split {plan.train} has "
            f"{there}: give fewer"
        )


def _probed(rows: EmbeddedRows, plan: Plan, name: str, modalities: list[int]) -> Probed:
    (train, lacking), (test, lacking_too) = (
        _samples(rows, rows.of_split(split), modalities) for split in (plan.train, plan.test)
    )
    shots: tuple[Shots, ...] = ()
    if plan.shots:
        total = plan.repeats * len(plan.shots)
        bar = tqdm(total=total, unit="fit", desc=name, disable=not sys.stderr.isatty())
        with bar:
            shots = few_shot(
                train,
                test,
                len(STAGES),
                plan.shots,
                plan.repeats,
                plan.seed,
                plan.strength,
                advance=bar.update,
            )
    classifier = linear.fit(train.x, train.y, plan.strength, overwrite=True)
    probabilities = classifier.probabilities(test.x, range(len(STAGES)))  # (n, 5)
    scores = class_scores(test.y, probabilities, test.subject, STAGES, plan.resamples, plan.seed)
    return Probed(
        modality=name,
        scores=scores,
        truth=test.y,
        probabilities=probabilities,
        classifier=classifier,
        train_subjects=len(np.unique(train.subject)),
        lacking=lacking + lacking_too,
        shots=shots,
    )


def _samples(rows: EmbeddedRows, part: slice, modalities: list[int]) -> tuple[Samples, int]:
    """The rows of a split that have one of the modalities, and how many do not."""
    there = rows.present[part][:, modalities].any(axis=1)
    kept = np.arange(part.start, part.stop)[there]
    if there.all():
        x = linear.features(rows.x[part], rows.present[part], modalities)
    else:
        x = linear.features(rows.x[kept], rows.present[kept], modalities)
    return Samples(x, rows.stages[kept].astype(int), rows.subject_of[kept]), int((~there).sum())
