"""The nights that towers embed: those of clip stores, and recordings that are cut on the way."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clips, night_clips, store_index
from sleepfm_jax.input_pipeline.store_kinds import CLIPS
from sleepfm_jax.jobs import sources
from sleepfm_jax.jobs.cut_clips import HowToCut, find_hypnogram, label_file
from sleepfm_jax.jobs.sources import Source

SUFFIXES = sources.RECORDING_SUFFIXES + sources.SIGNAL_SUFFIXES


class ClipNight(NamedTuple):
    """The clips of a night.

    Attributes:
        signals: (K, 9, 7680) float16.
        present: (K, 9) bool, which places hold a channel.
        starts: (K,) float64, seconds from the start of the recording.
        stages: (K,) int8, −1 unscored.
        labels: (9,) of the channels, empty where nothing fills a place.
        source: what they come from.
        subject: whose night it is; None: not known.
        split: in the store; None: of no store.
    """

    signals: np.ndarray
    present: np.ndarray
    starts: np.ndarray
    stages: np.ndarray
    labels: tuple[str, ...]
    source: str
    subject: str | None = None
    split: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredNight(Source):
    """A night of a clip store, whose `path` is the store's index.

    Attributes:
        split: that it is in.
        subject: whose it is.
        labels: of its channels.
        begin: number of its first clip within the split.
        end: one after its last.
    """

    split: str
    subject: str
    labels: tuple[str, ...]
    begin: int
    end: int


class ClipNights:
    """Nights by name, and their clips when they are wanted.

    Attributes:
        tasks: the nights.

    Args:
        paths: clip stores, recordings of any kind, and folders that are searched for them.
        how: recordings are cut; a clip needs one modality alone here.

    Raises:
        InputError: a path does not exist, there is no night, or a store is damaged.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], how: HowToCut) -> None:
        given = [Path(path) for path in paths]
        stores = [path for path in given if is_store(path)]
        others = [path for path in given if path not in stores]
        if stores and how.labels is not None:
            raise InputError(
                f"{stores[0]} is a store of clips and holds their stages: leave --labels out, or "
                "give it to `sleepfm-jax clip`"
            )
        tasks: list[Source] = [night for store in stores for night in _stored(store)]
        if others or not stores:
            tasks += sources.find(others, SUFFIXES)
        self.tasks = _with_rivals(tasks)
        self._how = how
        places = {(task.path, task.split) for task in self.tasks if isinstance(task, StoredNight)}
        self._open = {place: clips.open_store(place[0].parent, place[1]) for place in places}

    def read(self, task: Source) -> ClipNight | str:
        """The clips of a night, or why it has none.

        Raises:
            InputError: they cannot be read.
        """
        return self._read(task) if isinstance(task, StoredNight) else self._cut(task)

    def shown(self, task: Source) -> str:
        """A night's name for people."""
        inside = isinstance(task, StoredNight)
        return str(task.path.parent / task.name if inside else task.path)

    def label_state(self, task: Source) -> str:
        """Changes whenever the label file of a recording does; empty where there is none."""
        if isinstance(task, StoredNight):
            return ""
        found = label_file(task.path, task.name, self._how.labels)
        return "" if found is None else sources.state(found)

    def _read(self, task: StoredNight) -> ClipNight:
        store = self._open[task.path, task.split]
        K = task.end - task.begin
        signals = np.zeros((K, len(clips.CHANNELS), clips.SAMPLES), np.float16)
        present = np.zeros((K, len(clips.CHANNELS)), bool)
        for number in range(K):
            clip = store[task.begin + number]
            signals[number], present[number] = clip.signals, clip.present
        return ClipNight(
            signals,
            present,
            store.starts[task.begin : task.end],
            store.stages[task.begin : task.end],
            task.labels,
            task.path.parent.name,
            task.subject,
            task.split,
        )

    def _cut(self, task: Source) -> ClipNight | str:
        how = self._how
        hypnogram = find_hypnogram(task.path, task.name, how.labels)
        try:
            night = night_clips.of_recording(task.path, hypnogram, how.scale, how.places, how.rule)
        except night_clips.AnnotationsOnly:
            return "annotations only"
        some = night.present.any(axis=1)  # (K,)
        kept = slice(None) if some.all() else some
        return ClipNight(
            night.signals[kept],
            night.present[kept],
            night.starts[kept],
            night.stages[kept],
            tuple(label or "" for label in night.labels),
            task.path.name,
        )


def is_store(path: Path) -> bool:
    """Whether a path is a clip store."""
    return (path / CLIPS.file).is_file()


def _stored(store: Path) -> list[StoredNight]:
    """All nights of a store."""
    index = store_index.read(store, CLIPS)
    found = []
    for split in index.shards:
        begin = 0
        for night in index.of_split(split):
            end = begin + night.records
            found.append(
                StoredNight(
                    store / CLIPS.file,
                    night.name,
                    split=split,
                    subject=night.subject,
                    labels=night.labels,
                    begin=begin,
                    end=end,
                )
            )
            begin = end
    return found


def _with_rivals(tasks: Iterable[Source]) -> list[Source]:
    """A night whose name an earlier one has, of another file, knows it."""
    first: dict[str, Path] = {}
    found = []
    for task in tasks:
        rival = first.setdefault(task.name, task.path)
        found.append(task if rival == task.path else dataclasses.replace(task, rival=rival))
    return found
