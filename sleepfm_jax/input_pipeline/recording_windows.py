"""A source of windows that reads plain recordings, without packing."""

import dataclasses
import logging
import operator
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import night_windows, recordings, windows
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.night_windows import NightWindows
from sleepfm_jax.input_pipeline.recordings import Recording
from sleepfm_jax.input_pipeline.resample import RATE
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.windows import SAMPLES, Rule, Window

log = logging.getLogger(__name__)

SUFFIXES = (".hdf5", ".h5")
OPEN_FILES = 32


@dataclasses.dataclass(frozen=True)
class _File:
    path: Path
    name: str


class RecordingWindows:
    """Windows of many recordings, of which few are open at a time.

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
        montage: Montage | None,
    ) -> None:
        self._rule = rule
        # caps as a plain dict can be pickled, the default ones cannot
        self._montage = montage and dataclasses.replace(montage, caps=dict(montage.caps))
        files, self.left_out = _of_split([*_find(paths)], split, splits or Splits())
        self._files: list[_File] = []
        self._samples: list[int] = []
        counts = []
        for file in files:
            try:
                samples = self._samples_of(file.path)
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

    def _samples_of(self, path: Path) -> int:
        with recordings.open_recording(path) as recording:
            return self._windows(recording).samples

    def _windows(self, recording: Recording) -> NightWindows:
        return night_windows.of_recording(recording, self._montage)

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
            self._opened[number] = (recording, self._windows(recording))
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
    """The files of a split, and (file, reason) of those that are in none."""
    if split is None:
        return files, []
    chosen, left_out = [], []
    for file in files:
        try:
            found = splits.split_of(file.name)
        except InputError as error:
            left_out.append((str(file.path), str(error)))
            continue
        if found is None:
            left_out.append((str(file.path), "in none of the published splits"))
        elif found == split:
            chosen.append(file)
    if left_out:
        log.warning("%d recordings are in no split, such as %s: %s", len(left_out), *left_out[0])
    return chosen, left_out


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
