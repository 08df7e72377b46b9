"""Many nights of EDF, BDF or WFDB to recordings at the model's rate, one HDF5 a night."""

import dataclasses
import functools
import os
from collections.abc import Iterable
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import recordings, source_files
from sleepfm_jax.input_pipeline.convert import convert
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.recording_writer import FORMAT
from sleepfm_jax.jobs import runner, sources
from sleepfm_jax.jobs.sources import Source

WORKER_BYTES = 1 << 30  # of memory, for a night at 512 Hz
MOST_THREADS = 8  # in a night; each takes up to 0.3 GB


def preprocess(
    paths: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    montage: Montage | None = None,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    overwrite: bool = False,
) -> runner.Summary:
    """Makes recordings of all nights; what is there already and unchanged is skipped.

    Args:
        paths: EDF and BDF files, headers of WFDB records, and folders that are searched for them.
        output: folder for the recordings. A file's recording is `output/NAME.hdf5`; below a folder
            that was given, subfolders are kept, so that equal names do not meet.
        montage: which channels to use; None: the default rules.
        workers: processes; None: as many as cores and memory allow. Cores that are left over
            work within the nights.
        cluster: address of a Dask scheduler, instead of workers.
        overwrite: make every recording anew.

    Raises:
        InputError: a path does not exist, or there is no night.
    """
    output = Path(output)
    if cluster:  # whose workers stand in other folders
        paths, output = [Path(path).absolute() for path in paths], output.absolute()
    tasks = sources.find(paths)
    workers = workers or default_workers(len(tasks))
    montage = montage or Montage()
    work = functools.partial(
        preprocess_night,
        output=output,
        montage=dataclasses.replace(montage, caps=dict(montage.caps)),  # picklable
        threads=1 if cluster else max(1, min(MOST_THREADS, runner.cores() // workers)),
        overwrite=overwrite,
    )
    return runner.run(
        work,
        tasks,
        output,
        name=lambda task: str(task.path),
        workers=workers,
        cluster=cluster,
    )


def preprocess_night(
    source: Source, output: Path, montage: Montage, threads: int, overwrite: bool
) -> str | None:
    """Makes one recording.

    Args:
        source: the night.
        output: folder for the recording.
        montage: which channels to use.
        threads: to work with.
        overwrite: make it anew even if it is there.

    Returns:
        None, or the reason why there was nothing to do.

    Raises:
        InputError: the night cannot be used, the disk is full, or something else stands where
            the recording should, such as that of another night of the same name.
    """
    source.refuse_rival()
    target = output / f"{source.name}.hdf5"
    settings = sources.montage_digest(montage, FORMAT)
    if not overwrite and _is_made(source.path, target, settings):
        return "done before"
    with source_files.open_recording(source.path) as recording:
        if not recording.signals:
            return "annotations only"
        with convert(recording, montage, threads) as night:
            provenance = {
                **night.provenance,
                "settings": settings,
                "source_state": sources.state(source.path),
                "source_place": sources.place(source.path),
            }
            recordings.write(target, night, provenance, threads)
    return None


def default_workers(nights: int) -> int:
    """As many processes as there are nights and cores, and as memory allows."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(nights, runner.cores(), memory // WORKER_BYTES))


def _is_made(source: Path, target: Path, settings: str) -> bool:
    """Whether the recording is there, made with these settings from this very source."""
    if not target.exists():
        return False
    try:
        with recordings.open_recording(target) as recording:
            made = recording.provenance
    except InputError:
        made = {}
    if "sha256" not in made:
        raise InputError(
            f"{target} is there and was not made by preprocess: move it away, or replace it "
            "with --overwrite"
        )
    same_state = made.get("source_state") == sources.state(source)
    same_place = made.get("source_place") == sources.place(source)
    same = (same_state and same_place) or made["sha256"] == source_files.content_hash(source)
    if not same and not same_place:
        raise InputError(
            f"{target} was made from another file named {source.name}: use a different "
            f"--output for {source}, or replace it with --overwrite"
        )
    return same and made.get("settings") == settings
