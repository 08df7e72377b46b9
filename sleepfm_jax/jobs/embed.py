"""Many nights to embeddings: one model in this process, nights read ahead of it in threads."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from sleepfm_jax import inference
from sleepfm_jax.errors import InputError
from sleepfm_jax.inference import Model
from sleepfm_jax.input_pipeline import embeddings, nights, source_files
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.jobs import runner, sources
from sleepfm_jax.jobs.read_ahead import ReadAhead
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
    target = _Target(Path(output), network, sources.montage_digest(montage or Montage()), overwrite)
    threads = max(1, runner.cores() // workers)
    with ReadAhead(tasks, lambda task: _load(task, target, montage, threads), workers) as ahead:

        def embed_night(source: Source) -> str | None:
            night = ahead.take(source)
            if isinstance(night, str):
                return night
            target.write(source, network.embed(night))
            return None

        return runner.run(embed_night, tasks, target.folder, name=lambda task: str(task.path))


class _Target:
    """Where embeddings go, and whether those of a night are there already."""

    def __init__(self, folder: Path, model: Model, settings: str, overwrite: bool) -> None:
        self.folder = folder
        self._made_with = {**model.provenance, "settings": settings}
        self._overwrite = overwrite

    def has(self, source: Source) -> bool:
        """Whether the night's embeddings stand there, of this file, model and montage."""
        found = embeddings.attributes(self.folder, source.name)
        if self._overwrite or found is None:
            return False
        if found.get("source_place") != sources.place(source.path):
            raise InputError(
                f"{embeddings.paths(self.folder, source.name)['pooled']} was made from another "
                f"file named {source.path.name}: use a different --output for {source.path}, or "
                "replace it with --overwrite"
            )
        wanted = {**self._made_with, **_trace(source)}
        return all(found.get(key) == value for key, value in wanted.items())

    def write(self, source: Source, night: embeddings.NightEmbeddings) -> None:
        """Writes a night's embeddings with what tells a later run that they are up to date."""
        provenance = {**night.provenance, **self._made_with, **_trace(source)}
        embeddings.write(
            self.folder, dataclasses.replace(night, name=source.name, provenance=provenance)
        )


def _trace(source: Source) -> dict[str, str]:
    return {
        "source_state": sources.state(source.path),
        "source_place": sources.place(source.path),
    }


def _load(source: Source, target: _Target, montage: Montage | None, threads: int) -> Night | str:
    """The night, or the reason why there is nothing to do for it."""
    source.refuse_rival()
    return "done before" if target.has(source) else load(source.path, montage, threads)


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
