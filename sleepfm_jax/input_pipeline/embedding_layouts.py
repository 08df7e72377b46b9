"""The folders of embeddings there are, and how rows of a table are read from a file of each."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clip_embeddings, embedding_files, embeddings, night_files
from sleepfm_jax.input_pipeline.clip_embeddings import CLIPS
from sleepfm_jax.input_pipeline.clips import MODALITIES
from sleepfm_jax.input_pipeline.embedding_files import Description
from sleepfm_jax.input_pipeline.embeddings import STEPS
from sleepfm_jax.input_pipeline.hypnogram import EPOCH, STEPS_PER_EPOCH, UNSCORED, epochs
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.night_files import SEQUENCE

POOLED = "pooled"
EPOCHS, WINDOWS = "epochs", "windows"  # what a row can be of: 30 s, or 5 minutes
LEAST = 3  # 5-second rows of a last epoch that counts


class NightRows(NamedTuple):
    """Rows of a night.

    Attributes:
        x: (K, M, E) float32; zeros where the modality is absent.
        present: (K, M) bool.
        starts: (K,) float64, seconds from the start of the recording.
        stages: (K,) int8 as stored; −1 where no stage is.
    """

    x: np.ndarray
    present: np.ndarray
    starts: np.ndarray
    stages: np.ndarray


class Layout(NamedTuple):
    """A folder of embeddings.

    Attributes:
        folder: that holds the nights' files.
        modalities: names, M.
        seconds: of a row.
        describe: a file without its rows; `rows` counts those that `read` gives.
        read: a night.
    """

    folder: Path
    modalities: tuple[str, ...]
    seconds: float
    describe: Callable[[Path], Description]
    read: Callable[[Path], NightRows]


def find(folder: str | os.PathLike[str], rows: str | None = None) -> Layout:
    """What a folder holds.

    Args:
        folder: that `sleepfm-jax embed` made, with either model, or one of its subfolders; or
            5-second embeddings of the foundation model in the published layout.
        rows: "epochs" (30 s: clips, or the mean of six 5-second embeddings), or "windows" (the
            foundation model's 5-minute embeddings); None: what the model was trained on, if it is
            there.

    Raises:
        InputError: there are no embeddings, or those of two models, or no such rows.
    """
    folder = Path(folder)
    clips = (folder / CLIPS).is_dir()
    if clips and ((folder / SEQUENCE).is_dir() or (folder / POOLED).is_dir()):
        raise InputError(
            f"{folder} holds embeddings of two models: give {folder / CLIPS}, or move them apart"
        )
    if clips or _holds_clips(folder):
        if rows == WINDOWS:
            raise InputError(f"{folder} holds clips of 30 s, no windows: leave --rows out")
        return _clips(folder / CLIPS if clips else folder)
    return _foundation(folder, rows)


def _holds_clips(folder: Path) -> bool:
    """Whether the files of a folder without subfolders of ours are of clips."""
    if any((folder / name).is_dir() for name in (SEQUENCE, POOLED)):
        return False
    for path in night_files.find(folder).values():
        with contextlib.suppress(InputError):  # a damaged file tells nothing
            return clip_embeddings.describe(path) is not None
    return False


def _clips(folder: Path) -> Layout:
    def describe(path: Path) -> Description:
        found = clip_embeddings.describe(path)
        if found is None:
            raise embedding_files.no_embeddings(path)
        return found

    def read(path: Path) -> NightRows:
        night = clip_embeddings.read(path, path.stem)
        return NightRows(night.rows, night.present, night.starts, night.stages)

    return Layout(folder, MODALITIES, EPOCH, describe, read)


def _foundation(folder: Path, rows: str | None) -> Layout:
    """Of the foundation model, in either granularity."""
    if rows is None:
        rows = EPOCHS if _is_of_steps(folder) else WINDOWS
    kind = {EPOCHS: SEQUENCE, WINDOWS: POOLED}[rows]
    below = any((folder / name).is_dir() for name in (SEQUENCE, POOLED))
    if below and not (folder / kind).is_dir():
        raise InputError(f"{folder} has no {kind} embeddings: embed the nights again")
    place = folder / kind if below else folder
    untold = STEPS[POOLED] if place.name == POOLED else STEPS[SEQUENCE]

    def describe(path: Path) -> Description:
        found = embedding_files.describe(path, untold)
        if found.step != STEPS[kind]:
            raise InputError(
                f"{path} has a row every {found.step:g} s, not every {STEPS[kind]:g} s: give the "
                f"folder above {SEQUENCE} and {POOLED}, or other --rows"
            )
        return replace(found, rows=count(found.rows)) if rows == EPOCHS else found

    def read(path: Path) -> NightRows:
        return _of_foundation(path, rows == EPOCHS)

    seconds = EPOCH if rows == EPOCHS else STEPS[POOLED]
    return Layout(place, tuple(m.name for m in Modality), seconds, describe, read)


def _is_of_steps(folder: Path) -> bool:
    """Whether a folder is itself one of 5-second embeddings."""
    if any((folder / name).is_dir() for name in (SEQUENCE, POOLED)):
        return False
    told = (embeddings.step(path) for path in night_files.find(folder).values())
    first = next((step for step in told if step is not None), None)
    return folder.name != POOLED and first == STEPS[SEQUENCE]


def count(steps: int) -> int:
    """Epochs of so many 5-second rows: a last one of three or more counts, a shorter does not."""
    return steps // STEPS_PER_EPOCH + (steps % STEPS_PER_EPOCH >= LEAST)


def _of_foundation(path: Path, by_epoch: bool) -> NightRows:
    found = embeddings.read_rows(path)  # M × (T, E)
    if by_epoch:
        found = {name: epochs(rows)[: count(len(rows))] for name, rows in found.items()}
    K, E = next(iter(found.values())).shape
    x = np.zeros((K, len(Modality), E), np.float32)
    present = np.zeros((K, len(Modality)), bool)
    for name, rows in found.items():
        x[:, Modality[name]] = rows
        present[:, Modality[name]] = True
    starts = np.arange(K) * (EPOCH if by_epoch else STEPS[POOLED])
    return NightRows(x, present, starts, np.full(K, UNSCORED, np.int8))
