"""Nights and what is known of them: stages by time, or outcomes by subject; one split of each."""

import contextlib
import dataclasses
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, night_files
from sleepfm_jax.input_pipeline.annotations import UNSCORED, Hypnogram
from sleepfm_jax.input_pipeline.embedded_nights import EmbeddedNights
from sleepfm_jax.input_pipeline.embeddings import STEPS
from sleepfm_jax.input_pipeline.night_files import Reasons
from sleepfm_jax.input_pipeline.nights_by_number import Nights, Opening
from sleepfm_jax.input_pipeline.outcomes import Demographics, Encoding, OutcomeTable
from sleepfm_jax.input_pipeline.splits import Splits

STEP = STEPS["sequence"]  # seconds
LATE = 60.0  # seconds that labels may go on after a night's end


@dataclasses.dataclass(frozen=True)
class LabelledNights:
    """Nights of one split with their labels.

    Attributes:
        nights: as embeddings or as signals.
        chosen: (N,) int32, number within `nights` of each night that has labels.
        subjects: (S,) in the order of their first night; the cohort.
        subject_of: (N,) int32, row in the cohort of each night.
        left_out: (night or subject, reason) of all that cannot be used.
        stages: N arrays (T,) int8, a stage every 5 s, −1 unscored; None: no stages.
        outcomes: a row for each of the cohort; None: no outcomes.
        demographics: (S, 2) float32, age and sex encoded; None: not asked for.
    """

    nights: Nights
    chosen: np.ndarray
    subjects: tuple[str, ...]
    subject_of: np.ndarray
    left_out: Reasons
    stages: tuple[np.ndarray, ...] | None = None
    outcomes: OutcomeTable | None = None
    demographics: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def names(self) -> tuple[str, ...]:
        """(N,) of the nights."""
        return tuple(self.nights.names[night] for night in self.chosen)

    @property
    def steps(self) -> np.ndarray:
        """(N,) int32, 5-s steps of each night."""
        return self.nights.steps[self.chosen]


def with_stages(
    folder: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    split: str | None = None,
    splits: Splits | None = None,
    opening: Opening = EmbeddedNights,
) -> LabelledNights:
    """Nights with a stage every 5 s: that at the middle of each step, by time.

    Args:
        folder: that `sleepfm-jax embed` made, or its `sequence`; or one of recordings.
        labels: folder of label files, each named as its night.
        split: take only the nights of this split; None: all.
        splits: how nights are split; None: by the default fractions from seed 0.
        opening: what nights are read as: `EmbeddedNights`, or `RecordedNights`.

    Raises:
        InputError: a folder is none, or no night is left; nights without labels, and those that
            cannot be read, are left out and logged.
    """
    splits = splits or Splits()
    if not Path(labels).is_dir():
        raise InputError(f"{labels} is no folder: give the one with the nights' label files")
    files, left_out = night_files.of_split(night_files.find(folder), split, splits)
    hypnograms: dict[str, Hypnogram] = {}
    unlabelled = []
    for name in files:
        try:
            hypnograms[name] = _hypnogram_of(Path(labels), name)
        except InputError as error:
            unlabelled.append((name, str(error)))
    nights = opening({name: files[name] for name in hypnograms})
    _note_labels_beyond(nights, hypnograms)
    # (T,) of each night
    stages = [hypnograms[n].steps(int(T)) for n, T in zip(nights.names, nights.steps, strict=True)]
    scored = np.array([(stage != UNSCORED).any() for stage in stages], bool)  # (nights,)
    chosen = np.flatnonzero(scored)
    unscored = [
        (nights.names[night], f"its labels score nothing of its {nights.steps[night] * STEP:g} s")
        for night in np.flatnonzero(~scored)
    ]
    labelled = _labelled(
        folder,
        split,
        nights,
        chosen,
        [splits.subject_of(nights.names[night]) for night in chosen],
        (*left_out, *unlabelled, *nights.left_out, *unscored),
    )
    return dataclasses.replace(labelled, stages=tuple(stages[night] for night in chosen))


def with_outcomes(
    folder: str | os.PathLike[str],
    outcomes: OutcomeTable,
    demographics: Demographics | None = None,
    encoding: Encoding | None = None,
    split: str | None = None,
    splits: Splits | None = None,
    opening: Opening = EmbeddedNights,
) -> LabelledNights:
    """Nights with the times to their subjects' diagnoses.

    A subject's Study ID is a night's name, or the subject that `splits` finds in it, or the name
    without its folders where only one night has that.

    Args:
        folder: that `sleepfm-jax embed` made, or its `sequence`; or one of recordings.
        outcomes: of subjects.
        demographics: of subjects; None: not needed.
        encoding: of demographics; None: the default.
        split: take only the nights of this split; None: all.
        splits: how nights are split; None: by the default fractions from seed 0.
        opening: what nights are read as: `EmbeddedNights`, or `RecordedNights`.

    Raises:
        InputError: the folder is none, or no night is left; nights without outcomes or
            demographics, subjects without a night, and what cannot be read are left out and logged.
    """
    splits = splits or Splits()
    every = night_files.find(folder)
    ids = _study_ids(every, set(outcomes.subjects), splits)
    files, left_out = night_files.of_split(every, split, splits)
    reasons = {name: _without_outcome(ids.get(name), demographics) for name in files}
    known = {name: path for name, path in files.items() if not reasons[name]}
    unlabelled = [(name, reason) for name, reason in reasons.items() if reason]
    nobody = sorted(set(outcomes.subjects) - set(ids.values()))
    nights = opening(known)
    labelled = _labelled(
        folder,
        split,
        nights,
        range(len(nights.names)),
        [ids[name] for name in nights.names],
        (*left_out, *unlabelled, *nights.left_out, *((s, "has no night") for s in nobody)),
    )
    if demographics is not None:
        encoded = demographics.encode(labelled.subjects, encoding or Encoding())  # (S, 2)
        labelled = dataclasses.replace(labelled, demographics=encoded)
    return dataclasses.replace(labelled, outcomes=outcomes.of_subjects(labelled.subjects))


def _labelled(
    folder: str | os.PathLike[str],
    split: str | None,
    nights: Nights,
    chosen: Sequence[int] | np.ndarray,
    subject_of: Sequence[str],
    left_out: Reasons,
) -> LabelledNights:
    """The chosen nights, whose subjects are given, still without labels."""
    night_files.tell(f"left out of {split or 'the nights'} in {folder}", left_out)
    if not len(chosen):
        raise night_files.none_left(folder, split, left_out)
    subjects = tuple(dict.fromkeys(subject_of))
    row = {subject: number for number, subject in enumerate(subjects)}
    return LabelledNights(
        nights=nights,
        chosen=np.array(chosen, np.int32),
        subjects=subjects,
        subject_of=np.array([row[subject] for subject in subject_of], np.int32),
        left_out=left_out,
    )


def _hypnogram_of(labels: Path, night: str) -> Hypnogram:
    path = annotations.find(labels, night)
    if path is None:
        raise InputError(f"no label file of this name is in {labels}")
    return annotations.read_hypnogram(path)


def _note_labels_beyond(nights: Nights, hypnograms: Mapping[str, Hypnogram]) -> None:
    """Labels that go on long after a night's end may be another night's, or of another clock."""
    ends = zip(nights.names, nights.steps * STEP, strict=True)
    beyond = [(name, float(hypnograms[name].stops[-1] - end)) for name, end in ends]
    night_files.tell(
        "check that these labels are of this night",
        [(name, f"they go on {s:g} s after its end") for name, s in beyond if s > LATE],
    )


def _study_ids(names: Iterable[str], known: Collection[str], splits: Splits) -> dict[str, str]:
    """The Study ID of each night that has one."""
    last = {name: name.rpartition("/")[2] for name in names}
    nights_called = Counter(last.values())
    ids = {}
    for name, short in last.items():
        candidates = [name]
        with contextlib.suppress(InputError):  # a name without a subject is told by its split
            candidates.append(splits.subject_of(name))
        if nights_called[short] == 1:
            candidates.append(short)
        found = next((candidate for candidate in candidates if candidate in known), None)
        if found is not None:
            ids[name] = found
    return ids


def _without_outcome(study_id: str | None, demographics: Demographics | None) -> str | None:
    """Why nothing is known of a subject."""
    if study_id is None:
        return "no outcome: none of its names is a Study ID of the tables"
    if demographics is not None and study_id not in demographics.ages:
        reason = dict(demographics.left_out).get(study_id, "not in the table")
        return f"no age and sex of {study_id}: {reason}"
    return None
