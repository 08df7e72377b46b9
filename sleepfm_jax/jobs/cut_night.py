"""One night to the records of its windows, in a file that waits to be written into shards."""

import collections
import dataclasses
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm_jax import atomic
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import (
    night_windows,
    nights,
    recordings,
    source_files,
    window_record,
)
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.night_windows import NightWindows
from sleepfm_jax.input_pipeline.resample import RATE
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.window_index import NightEntry
from sleepfm_jax.input_pipeline.windows import EMPTY, SAMPLES, Rule, Screened
from sleepfm_jax.jobs import sources

NO_ROOM = "no room for cut nights: "  # begins the reason of a night that the disk had no room for


@dataclasses.dataclass(frozen=True)
class NightFile:
    """Where a cut night waits: its records, and beside them its entry, written last.

    Attributes:
        stem: path without suffix.
    """

    stem: Path

    def is_complete(self) -> bool:
        """Whether the night was cut to its end."""
        return self._entry.exists()

    def write(self, records: Iterator[dict[str, Any]], entry: Callable[[], NightEntry]) -> None:
        """Writes records one by one as they come.

        Args:
            records: of the windows.
            entry: asked for when the records are through.

        Raises:
            InputError: the disk is full, for example; the sentence begins with `NO_ROOM`.
        """
        try:
            with atomic.replacing(self._records) as temporary, temporary.open("wb") as file:
                for record in records:
                    pickle.dump(record, file, pickle.HIGHEST_PROTOCOL)
            with atomic.replacing(self._entry) as temporary:
                temporary.write_text(json.dumps(dataclasses.asdict(entry())), encoding="utf-8")
        except OSError as error:
            self._records.unlink(missing_ok=True)
            raise InputError(f"{NO_ROOM}{error.strerror}") from error

    def entry(self) -> NightEntry:
        """The night's line in the index."""
        content = json.loads(self._entry.read_text(encoding="utf-8"))
        return NightEntry(**{**content, "labels": tuple(content["labels"])})

    def records(self) -> Iterator[dict[str, Any]]:
        """The records, one held at a time."""
        with self._records.open("rb") as file:
            for _ in range(self.entry().windows):
                yield pickle.load(file)

    def remove(self) -> None:
        """Deletes the records; the entry stays."""
        self._records.unlink()

    @property
    def _records(self) -> Path:
        return self.stem.with_suffix(".records")

    @property
    def _entry(self) -> Path:
        return self.stem.with_suffix(".json")


def cut_night(
    path: Path, name: str, file: NightFile, montage: Montage | None, splits: Splits, rule: Rule
) -> str | None:
    """Cuts one night.

    Args:
        path: a recording (HDF5), EDF, BDF or WFDB (.hea) file.
        name: of the night.
        file: where its records shall wait.
        montage: which channels to use.
        splits: how nights are split.
        rule: which windows and channels are refused.

    Returns:
        None, or the reason why the night is not wanted.

    Raises:
        InputError: it cannot be used, or no window of it; or the disk is full.
    """
    _refuse_unwritable(name)
    split = splits.split_of(name)
    if split is None:
        return "in none of the published splits"
    subject = splits.subject_of(name)
    if path.suffix.lower() not in sources.SIGNAL_SUFFIXES:
        with recordings.open_recording(path) as recording:
            night = night_windows.of_recording(recording, montage)
            _Cut(night, rule).write(path, file, name, subject, split)
        return None
    with source_files.open_recording(path) as recorded:
        if not recorded.signals:
            return "annotations only"
        night = night_windows.of_night(nights.load(recorded, montage))
    _Cut(night, rule).write(path, file, name, subject, split)
    return None


def _refuse_unwritable(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="backslashreplace").decode()
        raise InputError(f"{shown} is no text in UTF-8: rename the file") from error


class _Cut:
    """Takes a night window by window and counts what the rule refuses."""

    def __init__(self, night: NightWindows, rule: Rule) -> None:
        self._night = night
        self._rule = rule
        self._kept = 0
        self._dropped: collections.Counter[str] = collections.Counter()
        self._emptied: collections.Counter[str] = collections.Counter()

    def write(self, path: Path, file: NightFile, name: str, subject: str, split: str) -> None:
        """Cuts the night into its file."""

        def entry() -> NightEntry:
            if not self._kept:
                raise InputError(f"{path} has no window to use ({self._reasons()}): leave it out")
            return NightEntry(
                name=name,
                subject=subject,
                split=split,
                labels=self._night.labels,
                windows=self._kept,
                dropped=dict(+self._dropped),
                emptied=dict(+self._emptied),
            )

        file.write(self._records(name, subject), entry)

    def _records(self, name: str, subject: str) -> Iterator[dict[str, Any]]:
        for number in range(len(self._night)):
            screened = self._night.screened(number, self._rule)
            if screened.fault:
                self._dropped[screened.fault] += 1
                continue
            self._count(screened)
            start = float(number * SAMPLES // RATE)
            yield window_record.encode(screened, name, subject, self._night.labels, start)

    def _count(self, screened: Screened) -> None:
        self._kept += 1
        emptied = (screened.modality == EMPTY) & (self._night.modality != EMPTY)
        missing = int(np.count_nonzero(emptied & (screened.missing > 0)))
        self._emptied.update(missing=missing, flat=int(np.count_nonzero(emptied)) - missing)

    def _reasons(self) -> str:
        return ", ".join(f"{count} with {reason}" for reason, count in self._dropped.items())
