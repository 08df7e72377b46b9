"""One night to the records of its windows."""

import collections
from collections.abc import Iterator
from typing import Any

import numpy as np

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
from sleepfm_jax.input_pipeline.store_index import NightEntry
from sleepfm_jax.input_pipeline.windows import EMPTY, SAMPLES, Rule, Screened
from sleepfm_jax.jobs import night_file, sources
from sleepfm_jax.jobs.night_file import Known, NightFile, Task


def cut_night(task: Task, montage: Montage | None, splits: Splits, rule: Rule) -> str | None:
    """Cuts one night.

    Args:
        task: a recording (HDF5), EDF, BDF or WFDB (.hea) file, and where its records shall wait.
        montage: which channels to use.
        splits: how nights are split.
        rule: which windows and channels are refused.

    Returns:
        None, or the reason why the night is not wanted.

    Raises:
        InputError: it cannot be used, or no window of it; or the disk is full.
    """
    source, file = task
    known = night_file.known(source, splits)
    if known is None:
        return night_file.UNPUBLISHED
    if known.path.suffix.lower() not in sources.SIGNAL_SUFFIXES:
        with recordings.open_recording(known.path) as recording:
            _Cut(night_windows.of_recording(recording, montage), rule).write(known, file)
        return None
    with source_files.open_recording(known.path) as recorded:
        if not recorded.signals:
            return "annotations only"
        night = night_windows.of_night(nights.load(recorded, montage))
    _Cut(night, rule).write(known, file)
    return None


class _Cut:
    """Takes a night window by window and counts what the rule refuses."""

    def __init__(self, night: NightWindows, rule: Rule) -> None:
        self._night = night
        self._rule = rule
        self._kept = 0
        self._dropped: collections.Counter[str] = collections.Counter()
        self._emptied: collections.Counter[str] = collections.Counter()

    def write(self, known: Known, file: NightFile) -> None:
        """Cuts the night into its file."""

        def entry() -> NightEntry:
            if not self._kept:
                raise InputError(
                    f"{known.path} has no window to use ({self._reasons()}): leave it out"
                )
            return NightEntry(
                name=known.name,
                subject=known.subject,
                split=known.split,
                labels=self._night.labels,
                records=self._kept,
                dropped=dict(+self._dropped),
                emptied=dict(+self._emptied),
            )

        file.write(self._records(known), entry)

    def _records(self, known: Known) -> Iterator[dict[str, Any]]:
        for number in range(len(self._night)):
            screened = self._night.screened(number, self._rule)
            if screened.fault:
                self._dropped[screened.fault] += 1
                continue
            self._count(screened)
            start = float(number * SAMPLES // RATE)
            yield window_record.encode(
                screened, known.name, known.subject, self._night.labels, start
            )

    def _count(self, screened: Screened) -> None:
        self._kept += 1
        emptied = (screened.modality == EMPTY) & (self._night.modality != EMPTY)
        missing = int(np.count_nonzero(emptied & (screened.missing > 0)))
        self._emptied.update(missing=missing, flat=int(np.count_nonzero(emptied)) - missing)

    def _reasons(self) -> str:
        return ", ".join(f"{count} with {reason}" for reason, count in self._dropped.items())
