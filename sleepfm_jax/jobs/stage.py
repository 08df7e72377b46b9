"""Nights to hypnograms in four formats, with probabilities, pictures and sleep statistics."""

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from sleepfm_jax import inference
from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate.sleep_statistics import sleep_statistics
from sleepfm_jax.input_pipeline import annotations, hypnogram_writers
from sleepfm_jax.input_pipeline.hypnogram import EPOCH, epochs, most_likely
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.jobs import (
    head_nights,
    hypnogram_picture,
    pictures,
    result_tables,
    runner,
    sources,
)
from sleepfm_jax.jobs.made_with import MadeWith
from sleepfm_jax.jobs.read_ahead import ReadAhead
from sleepfm_jax.jobs.sources import Source

log = logging.getLogger(__name__)

STATISTICS = "sleep_statistics.csv"
STAGED = "_hypnogram.json"  # the last file of a night


def stage(
    paths: Iterable[str | os.PathLike[str]],
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    montage: Montage | None = None,
    *,
    dtype: str = "float32",
    precision: str = "highest",
    workers: int = 1,
    overwrite: bool = False,
) -> runner.Summary:
    """Stages all nights; what is there already, unchanged and of the same models is skipped.

    Args:
        paths: recordings (HDF5), EDF and BDF files, stored embeddings, and folders of them.
        model: a folder of models with staging/, and with base/ unless all nights are embedded.
        output: folder for the files of each night (`hypnogram_writers.write`), its picture
            `NIGHT.png`, and `sleep_statistics.csv` of all staged nights there.
        montage: which channels of recordings to use; None: the default rules.
        dtype: in which the foundation model computes.
        precision: of its matrix products.
        workers: nights that are read at a time, ahead of the models.
        overwrite: stage every night anew.

    Raises:
        InputError: a model cannot be used, a path does not exist, or there is no night.
    """
    tasks = head_nights.find(paths)
    threads = max(1, runner.cores() // workers)
    foundation = head_nights.Foundation(model, montage, dtype, precision, threads)
    stager = inference.load_stager(model)
    folder = Path(output)
    settings = {
        "stager_sha256": stager.sha256,
        "model_sha256": foundation.sha256,
        "settings": sources.montage_digest(montage or Montage(), dtype, precision),
    }
    made_with = MadeWith(folder, STAGED, settings, overwrite)

    def read(source: Source) -> head_nights.Read:
        source.refuse_rival()
        return "done before" if made_with.has(source) else foundation.read(source)

    with ReadAhead(tasks, read, workers) as ahead:

        def stage_night(source: Source) -> str | None:
            night = ahead.take(source)
            if isinstance(night, str):
                return night
            probabilities = stager.stage(foundation.embed(night))  # (T, 5)
            write(folder, source.name, probabilities, made_with.of(source))
            return None

        summary = runner.run(stage_night, tasks, folder, name=lambda task: str(task.path))
    write_statistics(folder)
    return summary


def write(folder: Path, name: str, probabilities: np.ndarray, made_with: Mapping[str, str]) -> None:
    """Writes a night's picture and files; the JSON, which says that it is done, comes last.

    Args:
        folder: of all nights.
        name: of the night.
        probabilities: (T, 5) of the stages at each 5-second step; NaN where not known.
        made_with: kept in the JSON.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    shares = epochs(probabilities)  # (K, 5)
    pictures.save(
        lambda: hypnogram_picture.draw(name, most_likely(shares), shares, len(probabilities)),
        folder / f"{name}.png",
    )
    hypnogram_writers.write(folder / name, probabilities, made_with)


def write_statistics(folder: Path) -> None:
    """Writes `sleep_statistics.csv`: a row for each staged night in the folder.

    The recording's start and end are taken for lights off and on. A night without a scored epoch
    has no row, nor has one whose files are damaged, which is logged.

    Args:
        folder: of staged nights.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    rows = []
    for path in sorted(folder.rglob(f"*{STAGED}")):
        name = path.relative_to(folder).as_posix().removesuffix(STAGED)
        try:
            hypnogram = annotations.read_hypnogram(folder / f"{name}_events.tsv")
        except InputError as error:
            log.warning("%s has no row in %s: %s", name, STATISTICS, error)
            continue
        if (hypnogram.stages >= 0).any():
            end = float(hypnogram.stops[-1])
            numbers = sleep_statistics(hypnogram.stages, EPOCH, 0.0, end).flat()
            rows.append({"night": name, **numbers})
    if rows:
        result_tables.write(folder / STATISTICS, rows)
