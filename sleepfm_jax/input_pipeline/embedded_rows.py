"""Embeddings of many nights as one table: a row an epoch or window, with stage, subject and split.

Any model's: the towers' clips, or the foundation model's epochs or 5-minute windows.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, embedding_layouts, night_files
from sleepfm_jax.input_pipeline.embedding_files import Description, refuse_mixture
from sleepfm_jax.input_pipeline.embedding_layouts import Layout, NightRows
from sleepfm_jax.input_pipeline.embedding_splits import Whose, nights_of, subjects_and_splits
from sleepfm_jax.input_pipeline.hypnogram import UNSCORED, Hypnogram
from sleepfm_jax.input_pipeline.night_files import Reasons
from sleepfm_jax.input_pipeline.splits import Splits


@dataclasses.dataclass(frozen=True)
class Choice:
    """What is read of a folder of embeddings.

    Attributes:
        rows: "epochs", "windows" or None, as in `embedding_layouts.find`.
        labels: folder of label files named as the nights, whose stages are taken by time, at the
            middle of each row, instead of those that are stored.
        splits: how nights are split and whose they are; None: as stored with the nights, or where
            that is not told, by the default fractions from seed 0.
        subject: regular expression whose first group, in a night's name, is the subject, whatever
            is stored; not beside `splits`.
    """

    rows: str | None = None
    labels: Path | None = None
    splits: Splits | None = None
    subject: str | None = None


@dataclasses.dataclass(frozen=True)
class EmbeddedRows:
    """Rows of nights, those of a night next to each other and in the order of time.

    Attributes:
        x: (N, M, E) float32, as the model made them; zeros where a modality is absent.
        present: (N, M) bool.
        stages: (N,) int8, −1 unscored.
        starts: (N,) float64, seconds from the start of the recording.
        night_of: (N,) int32, index into `nights`.
        nights: names.
        subjects: whose each of `nights` is.
        splits: of each of `nights`; None: it is in no split.
        modalities: names, M.
        seconds: that a row is of.
        model: digest of the weights; empty where the files do not tell.
        left_out: (night, reason) of each night that cannot be used.
        unscored: how many rows of these nights were passed over because they have no stage.
    """

    x: np.ndarray
    present: np.ndarray
    stages: np.ndarray
    starts: np.ndarray
    night_of: np.ndarray
    nights: tuple[str, ...]
    subjects: tuple[str, ...]
    splits: tuple[str | None, ...]
    modalities: tuple[str, ...]
    seconds: float
    model: str
    left_out: Reasons
    unscored: int

    def __len__(self) -> int:
        return len(self.x)

    @property
    def subject_of(self) -> np.ndarray:
        """(N,) int32, number of the subject of each row, equal for all nights of one."""
        _, number = np.unique(np.array(self.subjects), return_inverse=True)
        return number.astype(np.int32)[self.night_of]

    def of_split(self, split: str) -> slice:
        """The rows of a split, of those that were read by `splits`: they follow each other."""
        within = np.array([name == split for name in self.splits], bool)[self.night_of]  # (N,)
        begin = int(within.argmax())
        return slice(begin, begin + int(within.sum()))

    def summary(self) -> dict[str, object]:
        """What was read, in numbers and names."""
        return {
            "model_sha256": self.model,
            "modalities": list(self.modalities),
            "row_seconds": self.seconds,
            "rows": len(self),
            "nights": len(self.nights),
            "subjects": len(set(self.subjects)),
            "left_out": dict(self.left_out),
            "unscored_rows_left_out": self.unscored,
        }


def read(
    folder: str | os.PathLike[str],
    choice: Choice | None = None,
    splits: Sequence[str] | None = None,
    scored: bool = False,
) -> EmbeddedRows:
    """Reads the nights of a folder; embeddings are held in memory once.

    Args:
        folder: of embeddings, as in `embedding_layouts.find`.
        choice: of rows, labels, subjects and splits; None: the default.
        splits: whose nights are read, one split after the other; None: all nights.
        scored: rows without a stage are passed over.

    Raises:
        InputError: the folder holds no embeddings, or those of two models; some nights tell their
            split and others do not; a subject is in two splits; a split has no night, or none is
            left. Nights that cannot be used are left out and logged.
    """
    choice = choice or Choice()
    if choice.labels is not None and not choice.labels.is_dir():
        raise InputError(f"{choice.labels} is no folder: give the one with the label files")
    layout = embedding_layouts.find(folder, choice.rows)
    files, left_out = _usable(layout)
    whose = subjects_and_splits(layout.folder, files, choice.splits, choice.subject)
    taken = list(files) if splits is None else nights_of(layout.folder, whose, splits)
    table = _Table(layout, [files[name] for name in taken])
    for name in taken:
        try:
            night = _night(layout, files[name].path, name, choice.labels, scored)
            table.add(name, night, files[name].rows)
        except InputError as error:
            left_out.append((name, str(error)))
    night_files.tell(f"left out of {layout.folder}", left_out)
    for split in splits or (None,):
        if not any(split in (None, whose[name].split) for name in table.names):
            raise night_files.none_left(layout.folder, split, tuple(left_out))
    return table.finished(whose, left_out)


def _usable(layout: Layout) -> tuple[dict[str, Description], list[tuple[str, str]]]:
    """Each night's file, all of one model; and what cannot be read."""
    described: dict[str, Description] = {}
    left_out = []
    for name, path in night_files.find(layout.folder).items():
        try:
            described[name] = layout.describe(path)
        except InputError as error:
            left_out.append((name, str(error)))
            continue
        refuse_mixture(next(iter(described.values())), described[name])
    return described, left_out


def _night(layout: Layout, path: Path, name: str, labels: Path | None, scored: bool) -> NightRows:
    hypnogram = None if labels is None else _hypnogram(labels, name)
    night = layout.read(path)
    if hypnogram is not None:
        night = night._replace(stages=hypnogram.at(night.starts + layout.seconds / 2))
    if not scored:
        return night
    known = night.stages != UNSCORED  # (K,)
    if not known.any():
        raise InputError(
            f"none of its {len(known)} rows has a stage"
            + ("" if labels else ": give --labels, a folder of label files")
        )
    return NightRows(*(array[known] for array in night))


def _hypnogram(labels: Path, night: str) -> Hypnogram:
    """Of a night's label file, which may stand in the night's subfolder or in none."""
    path = annotations.find_below(labels, night)
    if path is None:
        raise InputError(f"no label file of this name is in {labels}")
    return annotations.read_hypnogram(path)


class _Table:
    """Rows of night after night, in arrays that are made once."""

    def __init__(self, layout: Layout, files: Sequence[Description]) -> None:
        N, M = sum(file.rows for file in files), len(layout.modalities)
        self._layout = layout
        self._model = files[0].model if files else ""
        self._x = np.zeros((N, M, files[0].width if files else 0), np.float32)
        self._present = np.zeros((N, M), bool)
        self._stages = np.full(N, UNSCORED, np.int8)
        self._starts = np.zeros(N)
        self._counts: list[int] = []
        self._unscored = 0
        self.names: list[str] = []

    def add(self, name: str, night: NightRows, of: int) -> None:
        """The rows of the next night, which had so many."""
        begin = sum(self._counts)
        rows = slice(begin, begin + len(night.x))
        self._x[rows], self._present[rows] = night.x, night.present
        self._stages[rows], self._starts[rows] = night.stages, night.starts
        self._counts.append(len(night.x))
        self.names.append(name)
        self._unscored += of - len(night.x)

    def finished(
        self, whose: Mapping[str, Whose], left_out: Sequence[tuple[str, str]]
    ) -> EmbeddedRows:
        """The table, with subject and split of each night."""
        N = sum(self._counts)  # fewer than described, where rows or nights were left out
        return EmbeddedRows(
            x=self._x[:N],
            present=self._present[:N],
            stages=self._stages[:N],
            starts=self._starts[:N],
            night_of=np.repeat(np.arange(len(self._counts), dtype=np.int32), self._counts),
            nights=tuple(self.names),
            subjects=tuple(whose[name].subject for name in self.names),
            splits=tuple(whose[name].split for name in self.names),
            modalities=self._layout.modalities,
            seconds=self._layout.seconds,
            model=self._model,
            left_out=tuple(left_out),
            unscored=self._unscored,
        )
