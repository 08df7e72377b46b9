"""Many nights to one window store: nights are cut in parallel, then written as shards in order."""

import dataclasses
import errno
import functools
import glob
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sleepfm_jax import atomic
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import window_index, window_shards
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.splits import NAMES, Splits
from sleepfm_jax.input_pipeline.window_index import Index
from sleepfm_jax.input_pipeline.window_store import open_shard
from sleepfm_jax.input_pipeline.windows import Rule
from sleepfm_jax.jobs import pack_summary, runner, sources
from sleepfm_jax.jobs.cut_night import NO_ROOM, NightFile, cut_night
from sleepfm_jax.version import __version__

log = logging.getLogger(__name__)

SUFFIXES = sources.RECORDING_SUFFIXES + sources.SIGNAL_SUFFIXES


def pack(
    paths: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    montage: Montage | None = None,
    *,
    splits: Splits | None = None,
    rule: Rule | None = None,
    workers: int = 1,
    overwrite: bool = False,
) -> runner.Summary:
    """Packs all nights into a store, which is there when complete and not before.

    Args:
        paths: recordings (HDF5), EDF, BDF and WFDB (.hea) files, and folders that are
            searched for them.
        output: folder that becomes the store; failures.csv in it lists nights that failed.
        montage: which channels to use; None: the default rules, and of a preprocessed recording
            every channel.
        splits: how nights are split; None: by the default fractions from seed 0.
        rule: which windows and channels are refused; None: the default.
        workers: processes that cut nights.
        overwrite: replace a store that is there.

    Raises:
        InputError: a path does not exist, something stands where the store should, the disk is
            full, or no window is left.
    """
    output, splits, rule = Path(output), splits or Splits(), rule or Rule()
    tasks = sources.find(paths, SUFFIXES)
    refuse_occupied(output, overwrite)
    for partial in output.parent.glob(f".{glob.escape(output.name)}.*.partial"):
        log.warning("%s was left by a run that was killed, unless one goes on: delete it", partial)
    try:
        with atomic.replacing(output) as folder:
            folder.mkdir()
            summary, cut = _cut_all(tasks, folder, montage, splits, rule, workers)
            _write(folder, cut, splits, rule)
            refuse_occupied(output, overwrite)  # hours may have passed
    except OSError as error:
        raise _no_room(output, error) from error
    return summary


def refuse_occupied(output: Path, overwrite: bool) -> None:
    """Raises an InputError if something stands there that must not be replaced.

    Args:
        output: where a store shall stand.
        overwrite: whether a store may be replaced; anything else never is.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not _is_store(output):
        raise InputError(f"{output} is there and is no window store: give another --output")
    if not overwrite:
        raise InputError(f"{output} is there already: replace it with --overwrite")


def _is_store(path: Path) -> bool:
    """Whether a folder holds a store and nothing else that would be lost with it."""
    own = {window_index.FILE, *window_shards.FILES, "failures.csv"}
    if not path.is_dir() or not (path / window_index.FILE).is_file():
        return False
    return all(
        file.name in own or file.name.startswith(f"{window_shards.NAME}-")
        for file in path.iterdir()
    )


def _cut_all(
    tasks: Sequence[sources.Source],
    folder: Path,
    montage: Montage | None,
    splits: Splits,
    rule: Rule,
    workers: int,
) -> tuple[runner.Summary, list[NightFile]]:
    """Cuts nights into files below `folder`; those that are complete, in the order of the tasks."""
    files = {task: NightFile(folder / ".cut" / f"{i:07d}") for i, task in enumerate(tasks)}
    (folder / ".cut").mkdir()
    montage = montage and dataclasses.replace(montage, caps=dict(montage.caps))  # picklable
    work = functools.partial(_cut, montage=montage, splits=splits, rule=rule)
    summary = runner.run(
        work,
        [*files.items()],
        folder,
        name=lambda task: str(task[0].path),
        workers=min(workers, len(tasks)),
    )
    for _, reason in summary.failed:
        if reason.startswith(NO_ROOM):
            raise OSError(reason.removeprefix(NO_ROOM))
    cut = [file for file in files.values() if file.is_complete()]
    if not cut:
        reasons = [reason for _, reason in [*summary.failed, *summary.skipped]]
        for reason in reasons:
            log.error("left out: %s", reason)
        raise InputError(
            f"none of {len(tasks)} nights can be packed; the first: {reasons[0]}: check the paths"
        )
    return summary, cut


def _cut(
    task: tuple[sources.Source, NightFile], montage: Montage | None, splits: Splits, rule: Rule
) -> str | None:
    source, file = task
    source.refuse_rival()
    return cut_night(source.path, source.name, file, montage, splits, rule)


def _write(folder: Path, cut: list[NightFile], splits: Splits, rule: Rule) -> None:
    entries = {file: file.entry() for file in cut}
    order = sorted(dict.fromkeys(entry.split for entry in entries.values()), key=_rank)
    chosen = {
        split: [file for file, entry in entries.items() if entry.split == split] for split in order
    }
    nights = tuple(entries[file] for files in chosen.values() for file in files)
    made_with = {
        "version": __version__,
        "rule": dataclasses.asdict(rule),
        **pack_summary.how_split(splits),
        "counts": pack_summary.counts(nights),
    }
    bar = tqdm(total=sum(n.windows for n in nights), unit="window", disable=not sys.stderr.isatty())
    with bar:
        records = {split: _records(files, bar) for split, files in chosen.items()}
        try:
            shards = window_shards.write(folder, records, made_with)
        except RuntimeError as error:  # of ArrayRecord
            raise OSError(str(error)) from error
    shutil.rmtree(folder / ".cut")
    window_index.write(folder, Index(nights, shards, made_with))
    _verify(folder)
    pack_summary.tell(nights, splits)


def _records(files: list[NightFile], bar: tqdm) -> Iterator[dict[str, Any]]:
    """The records of nights; what is taken is deleted, so that the disk holds them once."""
    for file in files:
        for one in file.records():
            yield one
            bar.update()
        file.remove()


def _verify(folder: Path) -> None:
    """Opens every shard once, so that what was not written whole is found now."""
    for shards in window_index.read(folder).shards.values():
        for shard in shards:
            open_shard(folder, shard).close()


def _rank(split: str) -> tuple[int, str]:
    """Train, validation, test, then others by name."""
    return (NAMES.index(split) if split in NAMES else len(NAMES), split)


def _no_room(output: Path, error: OSError) -> InputError:
    """The fault in words; TFDS and ArrayRecord wrap the system's in many of their own."""
    faults = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]
    text = str(error)
    reason = next((fault for fault in faults if fault in text), error.strerror or text)
    return InputError(
        f"{output} cannot be written ({reason}): make room on the disk or write elsewhere, then "
        "run this again"
    )
