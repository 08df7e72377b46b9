"""Embeddings of many nights as one table: a row an epoch or window, with stage, subject and split.

Any model's: the towers' clips, or the foundation model's epochs or 5-minute windows.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, embedding_layouts, night_files
from sleepfm_jax.input_pipeline.embedding_files import Description, refuse_mixture
from sleepfm_jax.input_pipeline.embedding_layouts import Layout, NightRows
from sleepfm_jax.input_pipeline.hypnogram import UNSCORED, Hypnogram
from sleepfm_jax.input_pipeline.night_files import Reasons
from sleepfm_jax.input_pipeline.splits import Splits


@dataclasses.dataclass(frozen=True)
class EmbeddedRows:
    """Rows of all nights, those of a night next to each other and in the order of time.

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

    def __len__(self) -> int:
        return len(self.x)

    @property
    def subject_of(self) -> np.ndarray:
        """(N,) int32, number of the subject of each row, equal for all nights of one."""
        _, number = np.unique(np.array(self.subjects), return_inverse=True)
        return number.astype(np.int32)[self.night_of]

    def of_split(self, split: str) -> np.ndarray:
        """(N,) bool, the rows of a split.

        Args:
            split: its name.

        Raises:
            InputError: no night is in it.
        """
        there = np.array([name == split for name in self.splits], bool)
        if not there.any():
            names = ", ".join(sorted({name for name in self.splits if name})) or "none"
            raise InputError(f"no night is in split {split!r}; there are {names}: name one of them")
        return there[self.night_of]

    def refuse_shared_subjects(self) -> None:
        """Raises an InputError if a subject has nights in two splits."""
        first: dict[str, tuple[str, str]] = {}
        for night, subject, split in zip(self.nights, self.subjects, self.splits, strict=True):
            if split is None:
                continue
            known, where = first.setdefault(subject, (split, night))
            if known != split:
                raise InputError(
                    f"subject {subject} is in {known} (night {where}) and in {split} (night "
                    f"{night}), so that results would be too good: split by subject"
                )


def read(
    folder: str | os.PathLike[str],
    rows: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    splits: Splits | None = None,
    subject: str | None = None,
) -> EmbeddedRows:
    """Reads all nights of a folder; embeddings are held in memory once.

    Args:
        folder: of embeddings, as in `embedding_layouts.find`.
        rows: "epochs", "windows" or None, as there.
        labels: folder of label files named as the nights, whose stages are taken by time, at the
            middle of each row, instead of those that are stored; nights without one are left out.
        splits: how nights are split and whose they are; None: as stored with the nights, or where
            that is not told, by the default fractions from seed 0.
        subject: regular expression whose first group, in a night's name, is the subject, whatever
            is stored; not beside `splits`.

    Raises:
        InputError: the folder holds no embeddings, or those of two models; some nights tell their
            split and others do not; or no night is left. Nights that cannot be used are left out
            and logged.
    """
    layout = embedding_layouts.find(folder, rows)
    if labels is not None and not Path(labels).is_dir():
        raise InputError(f"{labels} is no folder: give the one with the nights' label files")
    files, left_out = _usable(layout)
    table = _Table(layout, list(files.values()))
    for name, file in files.items():
        try:
            hypnogram = None if labels is None else _hypnogram(Path(labels), name)
            night = layout.read(file.path)
            if hypnogram is not None:
                night = night._replace(stages=hypnogram.at(night.starts + layout.seconds / 2))
            table.add(name, night)
        except InputError as error:
            left_out.append((name, str(error)))
    night_files.tell(f"left out of {layout.folder}", left_out)
    if not table.names:
        raise night_files.none_left(layout.folder, None, tuple(left_out))
    return table.finished(_subjects_and_splits(layout.folder, table, splits, subject), left_out)


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
        self.names: list[str] = []
        self.stored: list[tuple[str | None, str | None]] = []  # subject and split

    def add(self, name: str, night: NightRows) -> None:
        """The rows of the next night."""
        begin = sum(self._counts)
        rows = slice(begin, begin + len(night.x))
        self._x[rows], self._present[rows] = night.x, night.present
        self._stages[rows], self._starts[rows] = night.stages, night.starts
        self._counts.append(len(night.x))
        self.names.append(name)
        self.stored.append((night.subject, night.split))

    def finished(
        self, whose: Sequence[tuple[str, str | None]], left_out: Sequence[tuple[str, str]]
    ) -> EmbeddedRows:
        """The table, with subject and split of each night."""
        N = sum(self._counts)  # fewer than described, where a night was left out
        return EmbeddedRows(
            x=self._x[:N],
            present=self._present[:N],
            stages=self._stages[:N],
            starts=self._starts[:N],
            night_of=np.repeat(np.arange(len(self._counts), dtype=np.int32), self._counts),
            nights=tuple(self.names),
            subjects=tuple(subject for subject, _ in whose),
            splits=tuple(split for _, split in whose),
            modalities=self._layout.modalities,
            seconds=self._layout.seconds,
            model=self._model,
            left_out=tuple(left_out),
        )


def _hypnogram(labels: Path, night: str) -> Hypnogram:
    """Of a night's label file, which may stand in the night's subfolder or in none."""
    path = annotations.find(labels, night) or annotations.find(labels, Path(night).name)
    if path is None:
        raise InputError(f"no label file of this name is in {labels}")
    return annotations.read_hypnogram(path)


def _subjects_and_splits(
    folder: Path, table: _Table, splits: Splits | None, subject: str | None
) -> list[tuple[str, str | None]]:
    """By the flags, or as stored."""
    if splits is not None:
        return [(splits.subject_of(name), splits.split_of(name)) for name in table.names]
    default = Splits(subject=subject)
    told = [name for name, (_, split) in zip(table.names, table.stored, strict=True) if split]
    if 0 < len(told) < len(table.names):
        other = next(name for name in table.names if name not in set(told))
        raise InputError(
            f"{folder} tells the split of {told[0]} but not of {other}: give splits for all nights "
            "by --seed, --fractions or --splits"
        )
    found = []
    for name, (stored, split) in zip(table.names, table.stored, strict=True):
        whose = stored if stored and subject is None else default.subject_of(name)
        found.append((whose, split or default.split_of(name)))
    return found
