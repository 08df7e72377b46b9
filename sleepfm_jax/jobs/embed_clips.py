"""Many nights to embeddings of their clips, by the towers of the ICML 2024 system."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sleepfm_jax import inference
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clip_embeddings
from sleepfm_jax.input_pipeline.clip_embeddings import ClipEmbeddings
from sleepfm_jax.input_pipeline.clips import Rule, modalities_present
from sleepfm_jax.jobs import embedding_run, runner
from sleepfm_jax.jobs.clip_nights import ClipNight, ClipNights
from sleepfm_jax.jobs.cut_clips import HowToCut
from sleepfm_jax.jobs.embedding_run import Target
from sleepfm_jax.jobs.sources import Source


def embed_clips(
    paths: Iterable[str | os.PathLike[str]],
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    how: HowToCut | None = None,
    *,
    dtype: str = "float32",
    precision: str = "highest",
    workers: int = 1,
    overwrite: bool = False,
) -> runner.Summary:
    """Embeds all nights; what is there already, unchanged and of the same model is skipped.

    Args:
        paths: clip stores, with the nights of all their splits; recordings (HDF5), EDF, BDF and
            WFDB (.hea) files, and folders that are searched for them.
        model: a model folder.
        output: folder for `clips/NAME.hdf5`; below a folder that was given, subfolders are kept.
        how: recordings are cut and where their labels are; None: the default.
        dtype: in which the network computes, as in `inference.load`.
        precision: of its matrix products, as in `inference.load`.
        workers: nights that are read at a time, ahead of the model.
        overwrite: embed every night anew.

    Raises:
        InputError: the model cannot be used, a path does not exist, or there is no night.
    """
    how, folder = how or HowToCut(rule=Rule(least_modalities=1)), Path(output)
    if how.labels is not None and not how.labels.is_dir():
        raise InputError(f"{how.labels} is no folder: give the one with the nights' label files")
    nights = ClipNights(paths, how)
    towers = inference.load_towers(model, dtype, precision)
    settings = repr((how.scale, sorted(how.places.items()), how.rule))
    target = Target(
        folder,
        lambda name: clip_embeddings.path_of(folder, name),
        lambda name: clip_embeddings.attributes(folder, name),
        {**towers.provenance, "settings": settings},
        overwrite,
        more=lambda task: {"labels_state": nights.label_state(task)},
    )

    def embed_night(task: Source, night: ClipNight) -> None:
        rows = towers.embed(night.signals, night.present)  # (K, 3, E)
        if not np.isfinite(rows).all():
            raise InputError(
                f"{nights.shown(task)}: its embeddings are no numbers: check the model, and the "
                "night's signals"
            )
        found = ClipEmbeddings(
            name=task.name,
            rows=rows,
            present=modalities_present(night.present),
            starts=night.starts,
            stages=night.stages,
            provenance={"source": night.source, **target.made_with(task)},
            labels=night.labels,
            subject=night.subject,
            split=night.split,
        )
        clip_embeddings.write(folder, found)

    return embedding_run.run(
        nights.tasks, target, nights.read, embed_night, workers, name=nights.shown
    )
