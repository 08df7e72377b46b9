"""Many nights to one window store: nights are cut in parallel, then written as shards in order."""

import collections
import dataclasses
import functools
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
from sleepfm_jax.input_pipeline.window_index import Index, NightEntry
from sleepfm_jax.input_pipeline.window_store import open_shard
from sleepfm_jax.input_pipeline.windows import Rule
from sleepfm_jax.jobs import runner, sources
from sleepfm_jax.jobs.cut_night import NO_ROOM, NightFile, cut_night
from sleepfm_jax.version import __version__

log = logging.getLogger(__name__)

SUFFIXES = sources.RECORDING_SUFFIXES + sources.EDF_SUFFIXES


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
        paths: recordings (HDF5), EDF and BDF files, and folders that are searched for them.
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
    try:
        with atomic.replacing(output) as folder:
            folder.mkdir()
            summary, cut = _cut_all(tasks, folder, montage, splits, rule, workers)
            _write(folder, cut, splits, rule)
            refuse_occupied(output, overwrite)  # hours may have passed
    except OSError as error:
        raise _no_room(output, error.strerror or str(error)) from error
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
        log.warning("left out: %s", reason)
    cut = [file for file in files.values() if file.is_complete()]
    if not cut:
        reasons = [reason for _, reason in [*summary.failed, *summary.skipped]]
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
        **_how_split(splits),
        "counts": _counts(nights),
    }
    bar = tqdm(total=sum(n.windows for n in nights), unit="window", disable=not sys.stderr.isatty())
    with bar:
        records = {
            split: (sum(entries[file].windows for file in files), _records(files, bar))
            for split, files in chosen.items()
        }
        try:
            shards = window_shards.write(folder, records, made_with)
        except RuntimeError as error:  # of ArrayRecord
            raise OSError(str(error)) from error
    shutil.rmtree(folder / ".cut")
    window_index.write(folder, Index(nights, shards, made_with))
    _verify(folder)
    _tell(nights, splits)


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


def _how_split(splits: Splits) -> dict[str, Any]:
    if splits.published is not None:
        return {"split_by": "published", "subject": splits.subject}
    return {
        "split_by": "seed",
        "subject": splits.subject,
        "seed": splits.seed,
        "fractions": list(splits.fractions),
    }


def _counts(nights: Sequence[NightEntry]) -> dict[str, Any]:
    dropped: collections.Counter[str] = collections.Counter()
    emptied: collections.Counter[str] = collections.Counter()
    for night in nights:
        dropped.update(night.dropped)
        emptied.update(night.emptied)
    return {
        "nights": len(nights),
        "windows": sum(night.windows for night in nights),
        "dropped_windows": dict(dropped),
        "emptied_channels": dict(emptied),
    }


def _tell(nights: Sequence[NightEntry], splits: Splits) -> None:
    """Logs what is in the store and what the rule refused."""
    by_split: dict[str, list[NightEntry]] = {}
    for night in nights:
        by_split.setdefault(night.split, []).append(night)
    for split, there in by_split.items():
        log.info("%s: %d nights, %d windows", split, len(there), sum(n.windows for n in there))
    counts = _counts(nights)
    log.info("windows dropped: %s", counts["dropped_windows"] or "none")
    log.info("channels emptied in a window: %s", counts["emptied_channels"] or "none")
    if splits.published is None:
        for name, share in zip(NAMES, splits.fractions, strict=True):
            if share and name not in by_split:
                log.warning("no night fell into split %s: give more nights or another seed", name)
    shared = _straddling(nights)
    if shared:
        log.warning("subjects in more than one split: %s", ", ".join(shared[:5]))


def _straddling(nights: Sequence[NightEntry]) -> list[str]:
    """Subjects in more than one split, which published splits may have."""
    splits_of: dict[str, set[str]] = {}
    for night in nights:
        splits_of.setdefault(night.subject, set()).add(night.split)
    return [subject for subject, found in splits_of.items() if len(found) > 1]


def _no_room(output: Path, reason: str) -> InputError:
    return InputError(
        f"{output} cannot be written ({reason}): make room on the disk or write elsewhere, then "
        "run this again"
    )
