"""Embeddings of a night's clips on disk: one HDF5 a night, one float32 dataset a modality.

`FOLDER/clips/NIGHT.hdf5` has a row a 30-s clip, in the order of time, with its start and stage.
"""

import dataclasses
import itertools
import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.clips import CHANNELS, COUNTS, MODALITIES, SECONDS
from sleepfm_jax.input_pipeline.embedding_files import DAMAGE, Description, refuse_no_numbers
from sleepfm_jax.input_pipeline.hypnogram import STAGES, UNSCORED

CLIPS = "clips"  # subfolder of a folder of embeddings
_PLACE = ("step", "subject", "split")  # attributes that are no provenance


@dataclasses.dataclass(frozen=True)
class ClipEmbeddings:
    """What the towers make of a night.

    Attributes:
        name: of the night.
        rows: (K, 3, E) float32, a row a clip; zeros where the modality is absent.
        present: (K, 3) bool, which modalities a clip has.
        starts: (K,) float64, seconds from the start of the recording.
        stages: (K,) int8, 0 Wake, 1 N1, 2 N2, 3 N3, 4 REM, −1 unscored.
        provenance: the source's and the model's, as text and numbers.
        labels: (9,) of the channels that fill the places; empty where nothing does.
        subject: whose night it is; None: not known.
        split: that the night has in the store of its clips; None: it comes from no store.
    """

    name: str
    rows: np.ndarray
    present: np.ndarray
    starts: np.ndarray
    stages: np.ndarray
    provenance: Mapping[str, str | float]
    labels: tuple[str, ...] = ("",) * len(CHANNELS)
    subject: str | None = None
    split: str | None = None


def path_of(folder: str | os.PathLike[str], name: str) -> Path:
    """Where the embeddings of a night's clips stand."""
    return Path(folder) / CLIPS / f"{name}.hdf5"


def write(folder: str | os.PathLike[str], night: ClipEmbeddings) -> None:
    """Writes a night's file, complete or not at all.

    Args:
        folder: gets `clips/NIGHT.hdf5`.
        night: what to write.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    path = path_of(folder, night.name)
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
            file.attrs.update({**night.provenance, "step": SECONDS})
            for key, value in (("subject", night.subject), ("split", night.split)):
                if value is not None:
                    file.attrs[key] = value
            labels = iter(night.labels)
            for number, (modality, places) in enumerate(COUNTS.items()):
                file[modality] = np.asarray(night.rows[:, number], np.float32)  # (K, E)
                file[modality].attrs["labels"] = [*itertools.islice(labels, places)]
            file["present"] = np.asarray(night.present, bool)
            file["start"] = np.asarray(night.starts, np.float64)
            file["stage"] = np.asarray(night.stages, np.int8)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be written ({error}): free some space or choose another folder"
        ) from error


def read(path: str | os.PathLike[str], name: str) -> ClipEmbeddings:
    """Reads a night's file.

    Args:
        path: `FOLDER/clips/NIGHT.hdf5`.
        name: of the night.

    Raises:
        InputError: the file is missing, damaged, or holds a value that cannot be.
    """
    try:
        with h5py.File(path, "r") as file:
            arrays = {key: file[key][()] for key in (*MODALITIES, "present", "start", "stage")}
            labels = [label for m in MODALITIES for label in file[m].attrs["labels"]]
            attributes = dict(file.attrs)
        rows = np.stack([arrays[modality] for modality in MODALITIES], axis=1)  # (K, 3, E)
    except DAMAGE as error:
        raise _damaged(path, str(error)) from error
    night = ClipEmbeddings(
        name=name,
        rows=rows.astype(np.float32, copy=False),
        present=arrays["present"],
        starts=arrays["start"],
        stages=arrays["stage"],
        provenance={key: value for key, value in attributes.items() if key not in _PLACE},
        labels=tuple(labels),
        subject=attributes.get("subject"),
        split=attributes.get("split"),
    )
    _check(path, night)
    return night


def describe(path: str | os.PathLike[str]) -> Description | None:
    """How many clips a file holds, and of which model, without reading them.

    Returns:
        None: it holds something else, such as embeddings of the foundation model.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            if MODALITIES[0] not in file or "present" not in file:
                return None
            K, E = file[MODALITIES[0]].shape
            told = file.attrs
            model, subject, split = (told.get(n) for n in ("model_sha256", "subject", "split"))
            return Description(Path(path), K, E, str(model or ""), SECONDS, subject, split)
    except DAMAGE as error:
        raise _damaged(path, str(error)) from error


def attributes(folder: str | os.PathLike[str], name: str) -> dict[str, str | float] | None:
    """The attributes of a night's file, or None where there is none that can be read."""
    try:
        with h5py.File(path_of(folder, name), "r") as file:
            return dict(file.attrs)
    except DAMAGE:
        return None


def _check(path: str | os.PathLike[str], night: ClipEmbeddings) -> None:
    K = len(night.rows)
    kinds = {"present": "b", "starts": "f", "stages": "i"}
    shapes = {"present": (K, len(MODALITIES)), "starts": (K,), "stages": (K,)}
    if night.rows.ndim != 3 or any(
        getattr(night, key).shape != shape or getattr(night, key).dtype.kind != kinds[key]
        for key, shape in shapes.items()
    ):
        raise _damaged(path, "its datasets differ in length")
    wrong = [m for m, of in enumerate(MODALITIES) if not np.isfinite(night.rows[:, m]).all()]
    refuse_no_numbers(path, [MODALITIES[m] for m in wrong])
    if (
        not np.isfinite(night.starts).all()
        or not ((night.stages >= UNSCORED) & (night.stages < len(STAGES))).all()
    ):
        raise _damaged(path, "times or stages are none")


def _damaged(path: str | os.PathLike[str], fault: str) -> InputError:
    return InputError(f"{path} cannot be read ({fault}): embed the night again")
