"""Many nights to embeddings: one model in this process, nights read ahead of it in threads."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from sleepfm_jax import inference
from sleepfm_jax.input_pipeline import embeddings, nights, source_files
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.jobs import embedding_run, runner, sources
from sleepfm_jax.jobs.embedding_run import Target
from sleepfm_jax.jobs.sources import Source

SUFFIXES = sources.RECORDING_SUFFIXES + sources.SIGNAL_SUFFIXES


def embed(
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
    """Embeds all nights; what is there already, unchanged and of the same model is skipped.

    Args:
        paths: recordings (HDF5), EDF, BDF and WFDB (.hea) files, and folders that are
            searched for them.
        model: a model folder.
        output: folder for `pooled/NAME.hdf5` and `sequence/NAME.hdf5`; below a folder that was
            given, subfolders are kept, so that equal names do not meet.
        montage: which channels to use; None: the default rules, and of a preprocessed recording
            every channel.
        dtype: in which the network computes, as in `inference.load`.
        precision: of its matrix products, as in `inference.load`.
        workers: nights that are read at a time, ahead of the model.
        overwrite: embed every night anew.

    Raises:
        InputError: the model cannot be used, a path does not exist, or there is no night.
    """
    tasks = sources.find(paths, SUFFIXES)
    network = inference.load(model, dtype, precision)
    folder = Path(output)
    target = Target(
        folder,
        lambda name: embeddings.paths(folder, name)["pooled"],
        lambda name: embeddings.attributes(folder, name),
        {**network.provenance, "settings": sources.montage_digest(montage or Montage())},
        overwrite,
    )
    threads = max(1, runner.cores() // workers)

    def embed_night(source: Source, night: Night) -> None:
        found = network.embed(night)
        provenance = {**found.provenance, **target.made_with(source)}
        named = dataclasses.replace(found, name=source.name, provenance=provenance)
        embeddings.write(folder, named)

    return embedding_run.run(
        tasks, target, lambda source: load(source.path, montage, threads), embed_night, workers
    )


def load(path: Path, montage: Montage | None, threads: int) -> Night | str:
    """A night from a recording of any kind, or the reason why it has none.

    Args:
        path: HDF5, EDF, BDF or a WFDB header.
        montage: which channels to use, as in `embed`.
        threads: that convert a night's channels.

    Raises:
        InputError: the recording cannot be used.
    """
    if path.suffix.lower() not in sources.SIGNAL_SUFFIXES:
        return nights.load(path, montage)
    with source_files.open_recording(path) as recording:
        if not recording.signals:
            return "annotations only"
        return nights.load(recording, montage, threads)
