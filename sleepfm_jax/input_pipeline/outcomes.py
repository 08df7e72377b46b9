"""Who was diagnosed with what, and when: the published outcome tables, one column a phecode."""

import dataclasses
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import subject_tables
from sleepfm_jax.input_pipeline.demographics import Demographics, Encoding, read_demographics
from sleepfm_jax.input_pipeline.label_mapping import read_label_mapping
from sleepfm_jax.input_pipeline.subject_tables import SubjectTable, some

__all__ = [
    "Demographics",
    "Encoding",
    "OutcomeTable",
    "read_demographics",
    "read_label_mapping",
    "read_outcomes",
]

log = logging.getLogger(__name__)

IS_EVENT, TIME_TO_EVENT = "is_event.csv", "time_to_event.csv"
LABEL_MAPPING, DEMOGRAPHICS = "label_mapping.csv", "demographics.csv"
UNKNOWN = -1.0  # days: in no risk set
_EMPTY = ("", "na", "nan", "none", "null")
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclasses.dataclass(frozen=True)
class OutcomeTable:
    """Times to diagnoses.

    Attributes:
        subjects: (N,) Study IDs.
        labels: (L,) phecodes.
        phenotypes: (L,) in words; empty where they are not known.
        time: (N, L) float32, days from the night to the diagnosis or to the end of the records;
            −1: in no risk set of this label, not known or diagnosed earlier.
        event: (N, L) bool, diagnosed then.
        earlier: (N, L) bool, diagnosed before the night or on its day.
        left_out: (subject, reason) of those who are in one of the tables alone.
    """

    subjects: tuple[str, ...]
    labels: tuple[str, ...]
    phenotypes: tuple[str, ...]
    time: np.ndarray
    event: np.ndarray
    earlier: np.ndarray
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def unknown(self) -> np.ndarray:
        """(N, L) bool, time or event is not known."""
        return (self.time < 0) & ~self.earlier

    def of_subjects(self, subjects: Sequence[str]) -> "OutcomeTable":
        """The rows of these subjects, in this order.

        Args:
            subjects: that are all in the table; one may come twice.

        Raises:
            KeyError: one is not in the table.
        """
        row_of = {subject: row for row, subject in enumerate(self.subjects)}
        rows = np.array([row_of[subject] for subject in subjects], np.intp)
        return dataclasses.replace(
            self,
            subjects=tuple(subjects),
            time=self.time[rows],
            event=self.event[rows],
            earlier=self.earlier[rows],
        )

    def of_labels(self, labels: Sequence[tuple[str, str]]) -> "OutcomeTable":
        """The columns of these labels, in this order; one that the table lacks is not known.

        Args:
            labels: (phecode, phenotype), such as a model's.

        Raises:
            InputError: the table has none of them.
        """
        places = {label: place for place, label in enumerate(self.labels)}
        wanted = [phecode for phecode, _ in labels]
        lacking = [phecode for phecode in wanted if phecode not in places]
        if len(lacking) == len(wanted):
            raise InputError(
                f"the outcome tables have {some(self.labels)}, none of the wanted phecodes "
                f"{some(wanted)}: give tables with the same spelling"
            )
        if lacking:
            log.warning("the outcome tables lack %s: not known of anybody", some(lacking))
        columns = np.array([places.get(phecode, -1) for phecode in wanted])  # −1: the one added
        return dataclasses.replace(
            self,
            labels=tuple(wanted),
            phenotypes=tuple(phenotype for _, phenotype in labels),
            time=_with_column(self.time, UNKNOWN)[:, columns],
            event=_with_column(self.event, False)[:, columns],
            earlier=_with_column(self.earlier, False)[:, columns],
        )


def _with_column(values: np.ndarray, value: float) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, 1)), constant_values=value)


def read_outcomes(
    is_event: str | os.PathLike[str],
    time_to_event: str | os.PathLike[str] | None = None,
    label_mapping: str | os.PathLike[str] | None = None,
) -> OutcomeTable:
    """Reads outcomes: two tables with `Study ID` and one column a phecode, and the phecodes' names.

    Per subject and label, an event on or before the night's day (time ≤ 0) is a diagnosis that was
    known before, and an empty or negative time, or an empty event, is not known: either is in no
    risk set of this label, counted and logged.

    Args:
        is_event: the table of 0 and 1; or a folder with `is_event.csv`, `time_to_event.csv` and
            perhaps `label_mapping.csv`, and nothing else is to be given.
        time_to_event: the table of days.
        label_mapping: the table `label_idx, phecode, phenotype`; None: without names.

    Raises:
        InputError: a table cannot be read, has two rows of one subject, an event that is not 0 or
            1, or a time that is no number; or the two have different phecodes, or no subject in
            common.
    """
    if time_to_event is None:
        folder = Path(is_event)
        is_event, time_to_event = folder / IS_EVENT, folder / TIME_TO_EVENT
        mapping = folder / LABEL_MAPPING
        label_mapping = mapping if mapping.exists() else None
    names = dict(read_label_mapping(label_mapping)) if label_mapping else {}
    events, times = subject_tables.read(is_event), subject_tables.read(time_to_event)
    labels = _common_labels(events, times)
    subjects, left_out = _common_subjects(events, times)
    event = _numbers(events, subjects, labels)  # (N, L)
    _refuse_other_than_0_and_1(events, subjects, labels, event)
    days = _numbers(times, subjects, labels)
    earlier = (event == 1) & (days <= 0)  # NaN is no number below 0
    known = np.isfinite(event) & np.isfinite(days) & (days >= 0) & ~earlier
    table = OutcomeTable(
        subjects=subjects,
        labels=labels,
        phenotypes=tuple(names.get(label, "") for label in labels),
        time=np.where(known, days, UNKNOWN).astype(np.float32),
        event=known & (event == 1),
        earlier=earlier,
        left_out=left_out,
    )
    _log(table, Path(is_event))
    return table


def _common_labels(events: SubjectTable, times: SubjectTable) -> tuple[str, ...]:
    only = sorted(set(events.columns) ^ set(times.columns))
    if only or not events.columns:
        raise InputError(
            f"{events.path} and {times.path} do not have the same phecodes, {some(only)} being in "
            "one alone: give every phecode a column in both"
        )
    return events.columns


def _common_subjects(
    events: SubjectTable, times: SubjectTable
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    subjects = tuple(subject for subject in events.rows if subject in times.rows)
    left_out = tuple(
        (subject, f"not in {other.path}")
        for table, other in ((events, times), (times, events))
        for subject in table.rows
        if subject not in other.rows
    )
    if not subjects:
        raise InputError(
            f"{events.path} and {times.path} have no Study ID in common, such as "
            f"{some([*events.rows])} and {some([*times.rows])}: give tables of the same subjects"
        )
    return subjects, left_out


def _numbers(table: SubjectTable, subjects: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """(N, L) float64, NaN where a cell is empty."""
    place = {label: number for number, label in enumerate(table.columns)}
    columns = [place[label] for label in labels]
    values = np.empty((len(subjects), len(labels)))
    for row, subject in zip(values, subjects, strict=True):
        cells = table.rows[subject]
        try:
            row[:] = [*map(float, cells)]
        except ValueError:
            row[:] = [
                _number(table, subject, *pair) for pair in zip(table.columns, cells, strict=True)
            ]
    return values[:, columns]


def _number(table: SubjectTable, subject: str, label: str, text: str) -> float:
    if text.lower() in _EMPTY:
        return np.nan
    try:
        return _TRUTH[text.lower()] if text.lower() in _TRUTH else float(text)
    except ValueError:
        raise InputError(
            f"{table.path}: {subject} has {text!r} for {label}, which is no number: mend it, or "
            "leave it empty where it is not known"
        ) from None


def _refuse_other_than_0_and_1(
    table: SubjectTable, subjects: Sequence[str], labels: Sequence[str], event: np.ndarray
) -> None:
    wrong = np.argwhere(~np.isnan(event) & (event != 0) & (event != 1))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{table.path}: {subjects[row]} has {event[row, column]:g} for {labels[column]}, where "
            "an event is 1 and none is 0: check that this is the table of events"
        )


def _log(table: OutcomeTable, path: Path) -> None:
    for subject, reason in table.left_out:
        log.warning("%s: %s is left out: %s", path, subject, reason)
    for what, cells in (("is not known", table.unknown), ("was before the night", table.earlier)):
        counts = cells.sum(axis=0)  # (L,)
        if counts.any():
            most = int(counts.argmax())
            log.warning(
                "%s: the outcome %s in %d cells of %d labels, most in %s (%d of %d subjects); they "
                "are in no risk set there",
                path,
                what,
                counts.sum(),
                np.count_nonzero(counts),
                table.labels[most],
                counts[most],
                len(table.subjects),
            )
