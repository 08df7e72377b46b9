"""Windows straight from nights: cut one by one from a recording, or from many as a source."""

import dataclasses
import functools
import logging
import operator
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import nights, recordings, windows
from sleepfm_jax.input_pipeline.convert import nothing_usable, refuse_short
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.input_pipeline.recordings import NotFinite, Recording
from sleepfm_jax.input_pipeline.resample import RATE
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.windows import SAMPLES, Rule, Screened, Window

log = logging.getLogger(__name__)

SUFFIXES = (".hdf5", ".h5")
OPEN_FILES = 32


@dataclasses.dataclass(frozen=True)
class NightWindows:
    """The windows of one night before any is dropped, by number.

    Attributes:
        labels: (C,) of the channels.
        modality: (C,) int8.
        samples: of each channel.
        read: (start, stop) to those samples of all channels, (C, stop - start) float16; a channel
            with a sample that is no number there is NaN throughout.
    """

    labels: tuple[str, ...]
    modality: np.ndarray
    samples: int
    read: Callable[[int, int], np.ndarray]

    def __len__(self) -> int:
        return windows.count(self.samples)

    def screened(self, number: int, rule: Rule) -> Screened:
        """One window after the rule.

        Args:
            number: of the window within the night.
            rule: that decides.
        """
        start = number * SAMPLES
        part = self.read(start, min(start + SAMPLES, self.samples))
        return windows.screen(part, self.modality, rule)


def of_night(night: Night) -> NightWindows:
    """The windows of a night in memory.

    Args:
        night: all of it.
    """
    signals = night.signals
    return NightWindows(
        night.labels, night.modality, signals.shape[1], lambda start, stop: signals[:, start:stop]
    )


def of_recording(recording: Recording, montage: Montage | None = None) -> NightWindows:
    """The windows of an open recording, of which only what is asked for is read.

    Args:
        recording: that stays open.
        montage: which channels to use; None: the default rules, and of a preprocessed recording
            every channel.

    Raises:
        InputError: it is shorter than one patch, or has none of the four modalities.
    """
    refuse_short(recording.path, recording.duration)
    wanted = _wanted(recording, montage)
    if not wanted:
        raise nothing_usable(recording.path, recording.labels)
    modality = np.array([*wanted.values()], np.int8)
    labels = tuple(wanted)
    read = functools.partial(_read, recording, labels)
    return NightWindows(labels, modality, recording.samples, read)


def _wanted(recording: Recording, montage: Montage | None) -> dict[str, Modality]:
    """Labels and modalities, whatever their samples are like."""
    rules = nights.rules(recording, montage)
    if rules is None:
        return {label: kind for label, kind in recording.modalities.items() if kind is not None}
    chosen = list(rules.choose(recording.labels).chosen)
    if recording.tagged:
        chosen.sort(key=lambda channel: channel.index)
    return {recording.labels[channel.index]: channel.modality for channel in chosen}


def _read(recording: Recording, labels: tuple[str, ...], start: int, stop: int) -> np.ndarray:
    part = np.empty((len(labels), stop - start), np.float16)  # (C, n)
    with np.errstate(over="ignore"):  # float32 beyond float16 is infinite: no number either
        for row, label in zip(part, labels, strict=True):
            try:
                row[:] = recording.read(label, start, stop)
            except NotFinite:
                row[:] = np.nan
    return part


@dataclasses.dataclass(frozen=True)
class _File:
    path: Path
    name: str


class RecordingWindows:
    """A source of windows that reads plain recordings.

    Attributes:
        nights: names.
        night_of: (N,) int32, index into `nights` of each window.
        left_out: (file, reason) of each recording that is not used.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        split: str | None,
        splits: Splits | None,
        rule: Rule,
    ) -> None:
        self._rule = rule
        files, self.left_out = _of_split([*_find(paths)], split, splits or Splits())
        self._files: list[_File] = []
        self._samples: list[int] = []
        counts = []
        for file in files:
            try:
                samples = _samples(file.path)
                counts.append(_count(file.path, samples, rule))
            except InputError as error:
                log.warning("left out: %s", error)
                self.left_out.append((str(file.path), str(error)))
                continue
            self._files.append(file)
            self._samples.append(samples)
        if not counts:
            raise InputError(_none_left(split, self.left_out))
        self.nights = tuple(file.name for file in self._files)
        self.night_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)  # (N,)
        self._first = np.cumsum([0, *counts[:-1]])
        self._forget()

    def __len__(self) -> int:
        return len(self.night_of)

    def __getitem__(self, index: SupportsIndex) -> Window:
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        number = int(self.night_of[index])
        place = index - int(self._first[number])
        with self._lock:  # HDF5 reads one at a time anyway
            night = self._open(number)
            screened = night.screened(place, self._rule)
        return Window(
            screened.signals,
            screened.modality,
            screened.patches,
            self.nights[number],
            float(place * SAMPLES // RATE),
            night.labels,
        )

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_opened"], state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._opened: OrderedDict[int, tuple[Recording, NightWindows]] = OrderedDict()
        self._lock = threading.Lock()

    def _open(self, number: int) -> NightWindows:
        """The night, opened; the least recently used ones are closed."""
        if number not in self._opened:
            path = self._files[number].path
            recording = recordings.open_recording(path)
            if recording.samples != self._samples[number]:
                recording.close()
                raise InputError(f"{path} has changed since it was opened: start again")
            self._opened[number] = (recording, of_recording(recording))
            if len(self._opened) > OPEN_FILES:
                _, (oldest, _) = self._opened.popitem(last=False)
                oldest.close()
        self._opened.move_to_end(number)
        return self._opened[number][1]


def _find(paths: Iterable[str | os.PathLike[str]]) -> Iterator[_File]:
    """Recordings at and under paths, each with its name: without suffix, below a folder given."""
    taken: dict[str, Path] = {}
    for start in map(Path, paths):
        if not start.exists():
            raise InputError(f"{start} does not exist: check the name")
        inside = [start] if start.is_file() else sorted(start.rglob("*"))
        for path in inside:
            relative = path.relative_to(start) if path != start else Path(path.name)
            hidden = any(part.startswith(".") for part in relative.parts)
            if path != start and (hidden or path.suffix.lower() not in SUFFIXES):
                continue
            name = str(relative.with_suffix(""))
            rival = taken.setdefault(name, path)
            if rival is path:
                yield _File(path, name)
            elif not rival.samefile(path):
                raise InputError(f"{path} has the name {name}, as has {rival}: rename one")


def _of_split(
    files: list[_File], split: str | None, splits: Splits
) -> tuple[list[_File], list[tuple[str, str]]]:
    """The files of a split; those that published splits do not have are told."""
    if split is None:
        return files, []
    of = {file: splits.split_of(file.name) for file in files}
    unknown = [(str(file.path), "in none of the splits") for file in files if of[file] is None]
    return [file for file in files if of[file] == split], unknown


def _samples(path: Path) -> int:
    with recordings.open_recording(path) as recording:
        return of_recording(recording).samples


def _count(path: Path, samples: int, rule: Rule) -> int:
    """Windows of a night, without a last one that is too short."""
    rest = samples // windows.PATCH % windows.PATCHES
    count = windows.count(samples) - (0 < rest < rule.least_patches)
    if not count:
        raise InputError(
            f"{path} is {samples / RATE:g} s long, less than the {rule.least_patches} patches of "
            "5 s that a window needs: leave it out"
        )
    return count


def _none_left(split: str | None, left_out: list[tuple[str, str]]) -> str:
    wanted = f"in split {split!r}" if split else "to be used"
    first = f"; first, {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
    return f"no recording is left {wanted} ({len(left_out)} left out{first}): check the paths"
