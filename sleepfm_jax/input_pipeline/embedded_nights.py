"""Nights as stored embeddings, a row every 5 s: what the heads learn from, read when needed."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.embedding_files import (
    DAMAGE,
    Description,
    no_embeddings,
    refuse_mixture,
    refuse_no_numbers,
)
from sleepfm_jax.input_pipeline.embeddings import STEPS
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.night_files import SEQUENCE, Reasons

MEMORY = 1 << 30  # bytes of nights that stay in memory
Rows = dict[Modality, np.ndarray]  # (T, E) float32 by modality


class EmbeddedNights:
    """Embeddings of many nights; whole nights stay in memory as far as it suffices.

    Attributes:
        names: (N,) of the nights.
        steps: (N,) int32, 5-s rows of each night.
        unit: 1, steps that runs begin at multiples of.
        width: E.
        model: digest of the weights that embedded them; empty where the files do not tell.
        left_out: (night, reason) of each night that cannot be used.
    """

    unit = 1

    def __init__(self, files: Mapping[str, Path], memory: int = MEMORY) -> None:
        """Reads all nights once, so that what is damaged is known before anything is trained.

        Args:
            files: of the nights, by name, as of `night_files.find`.
            memory: bytes of nights to keep; others are read again when they are wanted.

        Raises:
            InputError: nights differ in width or in the model that embedded them.
        """
        self._nights: list[Description] = []
        self._kept: dict[int, Rows] = {}
        names: list[str] = []
        left_out: list[tuple[str, str]] = []
        for name, path in files.items():
            try:
                night, rows = _read_whole(path)
            except InputError as error:
                left_out.append((name, str(error)))
                continue
            refuse_mixture(self._nights[0] if self._nights else night, night)
            memory -= sum(array.nbytes for array in rows.values())
            if memory >= 0:
                self._kept[len(names)] = rows
            self._nights.append(night)
            names.append(name)
        self.names = tuple(names)
        self.steps = np.array([night.rows for night in self._nights], np.int32)
        self.width = self._nights[0].width if self._nights else 0
        self.model = self._nights[0].model if self._nights else ""
        self.left_out: Reasons = tuple(left_out)

    def rows(self, b: int, T: int) -> dict[str, np.ndarray]:
        """Empty rows of a batch: embeddings (b, M, T, E), present (b, M), steps (b,)."""
        return {
            "embeddings": np.zeros((b, len(Modality), T, self.width), np.float32),
            "present": np.zeros((b, len(Modality)), bool),
            "steps": np.zeros(b, np.int32),
        }

    def fill(
        self,
        batch: dict[str, np.ndarray],
        row: int,
        night: int,
        run: slice,
        rng: np.random.Generator,  # noqa: ARG002 (nothing is drawn of embeddings)
    ) -> None:
        """Puts a run of a night's steps at the beginning of an empty row.

        Args:
            batch: of `rows`.
            row: of the batch.
            night: number of the night.
            run: its steps.
            rng: not used.

        Raises:
            InputError: the file is damaged, or has changed.
        """
        for modality, values in self._read(night, run).items():
            batch["embeddings"][row, modality, : len(values)] = values
            batch["present"][row, modality] = True
        batch["steps"][row] = run.stop - run.start

    def _read(self, night: int, run: slice) -> Rows:
        if night in self._kept:
            return {modality: values[run] for modality, values in self._kept[night].items()}
        known = self._nights[night]
        found, rows = _read(known.path, run)
        if found != known:
            raise InputError(f"{known.path} has changed since it was opened: start again")
        return rows


def _read_whole(path: Path) -> tuple[Description, Rows]:
    """A night with all its rows, each of which is a number."""
    night, rows = _read(path, slice(None))
    wrong = [modality.name for modality, values in rows.items() if not np.isfinite(values).all()]
    refuse_no_numbers(path, wrong)
    return night, rows


def _read(path: Path, run: slice) -> tuple[Description, Rows]:
    try:
        with h5py.File(path, "r") as file:
            datasets = {m: file[m.name] for m in Modality if m.name in file}
            night = _description(path, datasets, file.attrs)
            rows = {m: np.asarray(dataset[run], np.float32) for m, dataset in datasets.items()}
    except DAMAGE as error:
        raise InputError(f"{path} cannot be read ({error}): embed the night again") from error
    return night, rows


def _description(
    path: Path, datasets: Mapping[Modality, h5py.Dataset], attributes: Mapping[str, object]
) -> Description:
    shapes = {dataset.shape for dataset in datasets.values() if _is_rows(dataset)}
    if len(shapes) != 1 or not all(map(_is_rows, datasets.values())):
        raise no_embeddings(path)
    ((steps, width),) = shapes
    if attributes.get("step", STEPS[SEQUENCE]) != STEPS[SEQUENCE]:
        raise InputError(
            f"{path} has a row every {attributes['step']} s, not every {STEPS[SEQUENCE]:g} s: give "
            f"the folder of the {SEQUENCE} embeddings"
        )
    return Description(path, steps, width, str(attributes.get("model_sha256", "")), STEPS[SEQUENCE])


def _is_rows(dataset: object) -> bool:
    return (
        isinstance(dataset, h5py.Dataset)
        and dataset.ndim == 2
        and dataset.dtype.kind == "f"
        and dataset.size > 0
    )
