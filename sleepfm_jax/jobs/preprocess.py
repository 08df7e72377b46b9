"""Many nights of EDF or BDF to recordings at the model's rate, one HDF5 a night."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import edf, recordings
from sleepfm_jax.input_pipeline.convert import content_hash, convert
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.recording_writer import FORMAT
from sleepfm_jax.jobs import runner

SUFFIXES = (".edf", ".bdf")
WORKER_BYTES = 1 << 30  # of memory, for a night at 512 Hz


@dataclasses.dataclass(frozen=True)
class Task:
    """A night and the recording to make of it.

    Attributes:
        source: the EDF or BDF file.
        target: the recording.
        rival: an earlier file that becomes the same recording, if there is one.
    """

    source: Path
    target: Path
    rival: Path | None = None


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
        paths: EDF and BDF files, and folders that are searched for them.
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
    tasks = find_nights([Path(path) for path in paths], Path(output))
    workers = workers or default_workers(len(tasks))
    montage = montage or Montage()
    work = functools.partial(
        preprocess_night,
        montage=dataclasses.replace(montage, caps=dict(montage.caps)),  # picklable
        threads=1 if cluster else max(1, runner.cores() // workers),
        overwrite=overwrite,
    )
    return runner.run(
        work,
        tasks,
        Path(output),
        name=lambda task: str(task.source),
        workers=workers,
        cluster=cluster,
    )


def preprocess_night(task: Task, montage: Montage, threads: int, overwrite: bool) -> str | None:
    """Makes one recording.

    Args:
        task: what to make of what.
        montage: which channels to use.
        threads: to work with.
        overwrite: make it anew even if it is there.

    Returns:
        None, or the reason why there was nothing to do.

    Raises:
        InputError: the night cannot be used, the disk is full, or something else stands where
            the recording should, such as that of another night of the same name.
    """
    if task.rival:
        raise InputError(
            f"{task.source} would become {task.target}, which {task.rival} does: preprocess it "
            "into a different --output"
        )
    settings = _settings(montage)
    if not overwrite and _is_made(task, settings):
        return "done before"
    with edf.open_recording(task.source) as recording:
        if not recording.signals:
            return "annotations only"
        with convert(recording, montage, threads) as night:
            provenance = {
                **night.provenance,
                "settings": settings,
                "source_state": _state(task.source),
                "source_place": _place(task.source),
            }
            recordings.write(task.target, night, provenance, threads)
    return None


def find_nights(paths: Iterable[Path], output: Path) -> list[Task]:
    """All EDF and BDF files at and under `paths`, hidden ones left out, and their recordings.

    Raises:
        InputError: a path does not exist, or there is no night.
    """
    paths = list(paths)
    tasks: list[Task] = []
    first: dict[Path, Path] = {}  # target: the first source that becomes it
    for source, name in (night for path in paths for night in _nights_under(path)):
        target = output / name.with_suffix(".hdf5")
        rival = first.setdefault(target, source)
        if rival is source:
            tasks.append(Task(source, target))
        elif not rival.samefile(source):
            tasks.append(Task(source, target, rival))
    if not tasks:
        raise InputError(
            f"no .edf or .bdf file under {', '.join(map(str, paths))}: check the folder"
        )
    return tasks


def default_workers(nights: int) -> int:
    """As many processes as there are nights and cores, and as memory allows."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(nights, runner.cores(), memory // WORKER_BYTES))


def _nights_under(path: Path) -> list[tuple[Path, Path]]:
    """Files at or under `path`, each with its path relative to the folder that was given."""
    if path.is_dir():
        inside = [file.relative_to(path) for file in sorted(path.rglob("*"))]
        return [
            (path / name, name)
            for name in inside
            if name.suffix.lower() in SUFFIXES
            and not any(part.startswith(".") for part in name.parts)
            and (path / name).is_file()
        ]
    if path.exists():
        return [(path, Path(path.name))]
    raise InputError(f"{path} does not exist: check the name")


def _is_made(task: Task, settings: str) -> bool:
    """Whether the recording is there, made with these settings from this very source."""
    if not task.target.exists():
        return False
    try:
        with recordings.open_recording(task.target) as recording:
            made = recording.provenance
    except InputError:
        made = {}
    if "sha256" not in made:
        raise InputError(
            f"{task.target} is there and was not made by preprocess: move it away, or replace it "
            "with --overwrite"
        )
    same_state = made.get("source_state") == _state(task.source)
    same_place = made.get("source_place") == _place(task.source)
    same = (same_state and same_place) or made["sha256"] == content_hash(task.source)
    if not same and not same_place:
        raise InputError(
            f"{task.target} was made from another file named {task.source.name}: use a different "
            f"--output for {task.source}, or replace it with --overwrite"
        )
    return same and made.get("settings") == settings


def _place(source: Path) -> str:
    """Tells files of the same name apart; too short to guess folders (which may be names) from."""
    return hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]


def _state(source: Path) -> str:
    """Changes whenever the file does, for all we can tell without reading it; tells no date."""
    status = source.stat()
    return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()


def _settings(montage: Montage) -> str:
    """Changes whenever the recording would with the same source."""
    rules = (
        FORMAT,
        sorted(montage.caps.items()),
        montage.groups and sorted((m, tuple(labels)) for m, labels in montage.groups.items()),
        list(montage.named.items()),
    )
    return hashlib.sha256(repr(rules).encode()).hexdigest()
