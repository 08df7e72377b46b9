"""Many nights to one packed store: nights are cut in parallel, then written as shards in order.

Of windows or of clips: `jobs.pack` and `jobs.pack_clips` say how a night is cut.
"""

import dataclasses
import errno
import glob
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sleepfm_jax import atomic
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import store_index, store_shards
from sleepfm_jax.input_pipeline.packed_store import open_shard
from sleepfm_jax.input_pipeline.splits import FOUR, Splits
from sleepfm_jax.input_pipeline.store_index import Index, NightEntry
from sleepfm_jax.input_pipeline.store_kinds import Kind
from sleepfm_jax.jobs import pack_summary, runner, sources
from sleepfm_jax.jobs.night_file import NO_ROOM, NightFile, Task
from sleepfm_jax.version import __version__

log = logging.getLogger(__name__)

SUFFIXES = sources.RECORDING_SUFFIXES + sources.SIGNAL_SUFFIXES


@dataclasses.dataclass(frozen=True)
class Packed:
    """What became of the nights.

    Attributes:
        summary: of the run.
        nights: that are in the store.
    """

    summary: runner.Summary
    nights: tuple[NightEntry, ...]


def pack(
    kind: Kind,
    cut: Callable[[Task], str | None],
    paths: Iterable[str | os.PathLike[str]],
    output: Path,
    splits: Splits,
    settings: Mapping[str, Any],
    *,
    workers: int,
    overwrite: bool,
) -> Packed:
    """Packs all nights into a store, which is there when complete and not before.

    Args:
        kind: of the store.
        cut: cuts one night into its file, or tells why it is not wanted; picklable.
        paths: recordings (HDF5), EDF, BDF and WFDB (.hea) files, and folders that are
            searched for them.
        output: folder that becomes the store; failures.csv in it lists nights that failed.
        splits: how nights are split.
        settings: with which they are cut, for the index.
        workers: processes that cut nights.
        overwrite: replace a store that is there.

    Raises:
        InputError: a path does not exist, something stands where the store should, the disk is
            full, or no record is left.
    """
    tasks = sources.find(paths, SUFFIXES)
    refuse_occupied(output, kind, overwrite)
    for partial in output.parent.glob(f".{glob.escape(output.name)}.*.partial"):
        log.warning("%s was left by a run that was killed, unless one goes on: delete it", partial)
    try:
        with atomic.replacing(output) as folder:
            folder.mkdir()
            summary, files = _cut_all(tasks, folder, cut, workers)
            nights = _write(folder, kind, files, splits, settings)
            refuse_occupied(output, kind, overwrite)  # hours may have passed
    except OSError as error:
        raise _no_room(output, error) from error
    return Packed(summary, nights)


def refuse_occupied(output: Path, kind: Kind, overwrite: bool) -> None:
    """Raises an InputError if something stands there that must not be replaced.

    Args:
        output: where a store shall stand.
        kind: of the store; one of another kind is not replaced either.
        overwrite: whether a store may be replaced; anything else never is.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not _is_store(output, kind):
        raise InputError(f"{output} is there and is no {kind.one} store: give another --output")
    if not overwrite:
        raise InputError(f"{output} is there already: replace it with --overwrite")


def _is_store(path: Path, kind: Kind) -> bool:
    """Whether a folder holds a store and nothing else that would be lost with it."""
    own = {kind.file, *store_shards.FILES, "failures.csv"}
    if not path.is_dir() or not (path / kind.file).is_file():
        return False
    return all(
        file.name in own or file.name.startswith(f"{kind.dataset}-") for file in path.iterdir()
    )


def _cut_all(
    tasks: list[sources.Source], folder: Path, cut: Callable[[Task], str | None], workers: int
) -> tuple[runner.Summary, list[NightFile]]:
    """Cuts nights into files below `folder`; those that are complete, in the order of the tasks."""
    files = {task: NightFile(folder / ".cut" / f"{i:07d}") for i, task in enumerate(tasks)}
    (folder / ".cut").mkdir()
    summary = runner.run(
        cut,
        [*files.items()],
        folder,
        name=lambda task: str(task[0].path),
        workers=min(workers, len(tasks)),
    )
    for _, reason in summary.failed:
        if reason.startswith(NO_ROOM):
            raise OSError(reason.removeprefix(NO_ROOM))
    complete = [file for file in files.values() if file.is_complete()]
    if not complete:
        reasons = [reason for _, reason in [*summary.failed, *summary.skipped]]
        for reason in reasons:
            log.error("left out: %s", reason)
        raise InputError(
            f"none of {len(tasks)} nights can be packed; the first: {reasons[0]}: check the paths"
        )
    return summary, complete


def _write(
    folder: Path,
    kind: Kind,
    files: list[NightFile],
    splits: Splits,
    settings: Mapping[str, Any],
) -> tuple[NightEntry, ...]:
    entries = {file: file.entry() for file in files}
    order = sorted(dict.fromkeys(entry.split for entry in entries.values()), key=_rank)
    chosen = {
        split: [file for file, entry in entries.items() if entry.split == split] for split in order
    }
    nights = tuple(entries[file] for files in chosen.values() for file in files)
    made_with = {
        "version": __version__,
        **settings,
        **pack_summary.how_split(splits),
        "counts": pack_summary.counts(nights, kind),
    }
    total = sum(night.records for night in nights)
    with tqdm(total=total, unit=kind.one, disable=not sys.stderr.isatty()) as bar:
        records = {split: _records(files, bar) for split, files in chosen.items()}
        try:
            shards = store_shards.write(folder, kind, records, made_with)
        except RuntimeError as error:  # of ArrayRecord
            raise OSError(str(error)) from error
    shutil.rmtree(folder / ".cut")
    store_index.write(folder, kind, Index(nights, shards, made_with))
    _verify(folder, kind)
    pack_summary.tell(nights, splits, kind)
    return nights


def _records(files: list[NightFile], bar: tqdm) -> Iterator[dict[str, Any]]:
    """The records of nights; what is taken is deleted, so that the disk holds them once."""
    for file in files:
        for one in file.records():
            yield one
            bar.update()
        file.remove()


def _verify(folder: Path, kind: Kind) -> None:
    """Opens every shard once, so that what was not written whole is found now."""
    for shards in store_index.read(folder, kind).shards.values():
        for shard in shards:
            open_shard(folder, shard, kind).close()


def _rank(split: str) -> tuple[int, str]:
    """Pretrain, train, validation, test, then others by name."""
    return (FOUR.index(split) if split in FOUR else len(FOUR), split)


def _no_room(output: Path, error: OSError) -> InputError:
    """The fault in words; TFDS and ArrayRecord wrap the system's in many of their own."""
    faults = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]
    text = str(error)
    reason = next((fault for fault in faults if fault in text), error.strerror or text)
    return InputError(
        f"{output} cannot be written ({reason}): make room on the disk or write elsewhere, then "
        "run this again"
    )
