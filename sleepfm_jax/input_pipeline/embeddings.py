"""Embeddings of a night on disk: one HDF5 a granularity, one float32 dataset a modality (spec §4).

`FOLDER/sequence/NIGHT.hdf5` has a row every 5 seconds, `FOLDER/pooled/NIGHT.hdf5` one every
5 minutes; rows are in time order from the night's start.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.embedding_files import DAMAGE, no_embeddings, refuse_no_numbers
from sleepfm_jax.input_pipeline.modality import Modality

STEPS = {"pooled": 300.0, "sequence": 5.0}  # seconds from one row to the next


@dataclasses.dataclass(frozen=True)
class NightEmbeddings:
    """What the model makes of a night, by modality; a modality the night lacks is not there.

    Attributes:
        name: of the night.
        pooled: {"BAS": (W, E), …} float32, a row for each 5-minute window, the last one partial.
        sequence: {"BAS": (S, E), …} float32, a row for each 5-second patch.
        labels: {"BAS": ("C3-M2", …), …}, the channels behind each modality.
        left_out: (label, reason) of the channels that were not used.
        provenance: the source's and the model's, as text and numbers.
    """

    name: str
    pooled: dict[str, np.ndarray]
    sequence: dict[str, np.ndarray]
    labels: dict[str, tuple[str, ...]]
    left_out: tuple[tuple[str, str], ...]
    provenance: Mapping[str, str | float]

    @property
    def pooled_times(self) -> np.ndarray:
        """(W,) seconds from the night's start to each row of `pooled`."""
        return _times(self.pooled, STEPS["pooled"])

    @property
    def sequence_times(self) -> np.ndarray:
        """(S,) seconds from the night's start to each row of `sequence`."""
        return _times(self.sequence, STEPS["sequence"])


def _times(rows: Mapping[str, np.ndarray], step: float) -> np.ndarray:
    return np.arange(len(next(iter(rows.values())))) * step


def paths(folder: str | os.PathLike[str], name: str) -> dict[str, Path]:
    """Where a night's embeddings stand: {"pooled": …, "sequence": …}."""
    return {kind: Path(folder) / kind / f"{name}.hdf5" for kind in STEPS}


def write(folder: str | os.PathLike[str], night: NightEmbeddings) -> None:
    """Writes a night's two files; each is complete or absent.

    Args:
        folder: gets `pooled/NIGHT.hdf5` and `sequence/NIGHT.hdf5`.
        night: what to write.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    for kind, path in paths(folder, night.name).items():
        try:
            with replacing(path) as temporary:
                _write_file(temporary, night, kind)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{path} cannot be written ({error}): free some space or choose another folder"
            ) from error


def _write_file(path: Path, night: NightEmbeddings, kind: str) -> None:
    with h5py.File(path, "w", track_order=True) as file:
        file.attrs.update({**night.provenance, "start": 0.0, "step": STEPS[kind]})
        for modality, rows in getattr(night, kind).items():
            dataset = file.create_dataset(modality, data=rows.astype(np.float32))
            dataset.attrs["labels"] = list(night.labels[modality])


def read(folder: str | os.PathLike[str], name: str) -> NightEmbeddings:
    """Reads a night's embeddings, ours or in the published layout (no attributes).

    Raises:
        InputError: a file is missing, damaged, or its modalities differ in length.
    """
    read_files = {kind: _read_file(path) for kind, path in paths(folder, name).items()}
    (pooled, _, _), (sequence, labels, provenance) = read_files["pooled"], read_files["sequence"]
    return NightEmbeddings(name, pooled, sequence, labels, (), provenance)


def step(path: str | os.PathLike[str]) -> float | None:
    """Seconds from row to row of a file of embeddings, 5 where it does not tell (as published).

    Returns:
        None: the file holds no embeddings but, for example, a recording.
    """
    try:
        with h5py.File(path, "r") as file:
            rows = any(m.name in file and file[m.name].ndim == 2 for m in Modality)
            return float(file.attrs.get("step", STEPS["sequence"])) if rows else None
    except DAMAGE:
        return None


def read_sequence(path: str | os.PathLike[str], name: str) -> NightEmbeddings:
    """Reads a night's 5-second embeddings alone; `pooled` stays empty.

    Args:
        path: `FOLDER/sequence/NIGHT.hdf5`, ours or in the published layout.
        name: of the night.

    Raises:
        InputError: the file is damaged, its modalities differ in length, or a value is no number.
    """
    rows, labels, provenance = _read_numbers(Path(path))
    return NightEmbeddings(name, {}, rows, labels, (), provenance)


def read_rows(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The rows of one file, {"BAS": (T, E), …} float32, whatever their step.

    Args:
        path: ours or in the published layout.

    Raises:
        InputError: the file is damaged, its modalities differ in length, or a value is no number.
    """
    return _read_numbers(Path(path))[0]


_File = tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]], dict[str, str | float]]


def _read_numbers(path: Path) -> _File:
    """As `_read_file`; every value is a number."""
    found = _read_file(path)
    refuse_no_numbers(path, [m for m, rows in found[0].items() if not np.isfinite(rows).all()])
    return found


def _read_file(path: Path) -> _File:
    try:
        with h5py.File(path, "r") as file:
            rows = {m.name: file[m.name][()] for m in Modality if m.name in file}
            labels = {name: tuple(file[name].attrs.get("labels", ())) for name in rows}
            provenance = {k: v for k, v in file.attrs.items() if k not in ("start", "step")}
    except DAMAGE as error:
        raise InputError(f"{path} cannot be read ({error}): embed the night again") from error
    if (
        not all(_is_rows(array) for array in rows.values())
        or len(set(map(len, rows.values()))) != 1
    ):
        raise no_embeddings(path)
    return {name: array.astype(np.float32) for name, array in rows.items()}, labels, provenance


def _is_rows(array: object) -> bool:
    return isinstance(array, np.ndarray) and array.ndim == 2 and array.dtype.kind == "f"


def attributes(folder: str | os.PathLike[str], name: str) -> dict[str, str | float] | None:
    """The attributes of a night's embeddings, or None unless both files are there and readable."""
    try:
        found = {}
        for path in paths(folder, name).values():
            with h5py.File(path, "r") as file:
                found = dict(file.attrs)
    except DAMAGE:
        return None
    return found
