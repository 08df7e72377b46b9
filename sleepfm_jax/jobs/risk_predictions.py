"""Predicted risks of many subjects, from the tables that `sleepfm-jax risk` writes."""

import csv
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import subject_tables
from sleepfm_jax.input_pipeline.subject_tables import some
from sleepfm_jax.jobs import runner

PHECODE, SCORE, PHENOTYPE = "phecode", "log_hazard", "phenotype"
NO_PREDICTION = "failures"
_SUBJECT = "study_id"  # KEY, as `_plain` writes it


@dataclasses.dataclass(frozen=True)
class RiskPredictions:
    """Log hazards of N subjects and L labels.

    Attributes:
        subjects: (N,) Study IDs.
        labels: (L,) phecodes.
        phenotypes: (L,) in words; empty where they are not told.
        log_hazard: (N, L) float64.
    """

    subjects: tuple[str, ...]
    labels: tuple[str, ...]
    phenotypes: tuple[str, ...]
    log_hazard: np.ndarray

    def of_subjects(self, subjects: Sequence[str]) -> np.ndarray:
        """(n, L) log hazards of these subjects, in this order; all of them are in the table."""
        rows = {subject: row for row, subject in enumerate(self.subjects)}
        return self.log_hazard[[rows[subject] for subject in subjects]]

    def of_labels(self, labels: Sequence[str]) -> "RiskPredictions":
        """The columns of these labels, in this order; all of them are in the table."""
        columns = {label: column for column, label in enumerate(self.labels)}
        at = [columns[label] for label in labels]
        return RiskPredictions(
            self.subjects,
            tuple(labels),
            tuple(self.phenotypes[column] for column in at),
            self.log_hazard[:, at],
        )


def read(path: Path, output: Path) -> tuple[RiskPredictions, runner.Summary]:
    """Reads the risks of a cohort; tables that cannot be used are listed and left out.

    A table with the columns phecode and log_hazard has a line for each label of each subject; it
    names the subject in `Study ID`, or else is of the one subject that it is named after. A table
    with `Study ID` and no such columns has one column of log hazards a phecode.

    Args:
        path: one table, or a folder that is searched for them.
        output: folder for failures.csv.

    Raises:
        InputError: there is no table, or none can be used.
    """
    gathered = _Gathered(path)
    summary = runner.run(gathered.take, find(path), output)
    if not gathered.parts:
        raise InputError(summary.failed[0][1])
    return gathered.together(), summary


def read_whole(path: Path) -> RiskPredictions:
    """Reads the risks of a cohort as `read` does, but refuses it if any table cannot be used.

    Args:
        path: one table, or a folder that is searched for them.

    Raises:
        InputError: there is no table, or one cannot be used.
    """
    gathered = _Gathered(path)
    for file in find(path):
        gathered.take(file)
    return gathered.together()


class _Gathered:
    """Tables of one cohort, each read and held against those before it."""

    def __init__(self, given: Path) -> None:
        self._given = given
        self._sources: dict[str, Path] = {}
        self.parts: list[RiskPredictions] = []

    def take(self, file: Path) -> None:
        """Reads a table.

        Raises:
            InputError: it cannot be read, or has a subject again or other labels.
        """
        part = _read(file, self._given)
        twice = [subject for subject in part.subjects if subject in self._sources]
        if twice:
            raise InputError(
                f"{file} has {twice[0]}, which {self._sources[twice[0]]} has as well: keep one"
            )
        odd = sorted(set(part.labels) ^ set(self.parts[0].labels)) if self.parts else []
        if odd:
            raise InputError(
                f"{file} and {next(iter(self._sources.values()))} do not have the same phecodes, "
                f"{some(odd)} being in one alone: give risks of one model"
            )
        self._sources.update(dict.fromkeys(part.subjects, file))
        self.parts.append(part)

    def together(self) -> RiskPredictions:
        """All subjects, with the labels in the order of the first table."""
        first = self.parts[0]
        rows = [part.of_labels(first.labels).log_hazard for part in self.parts]
        return RiskPredictions(
            tuple(self._sources), first.labels, first.phenotypes, np.concatenate(rows)
        )


def find(path: Path) -> list[Path]:
    """The tables at or under a path, but for lists of failures.

    Args:
        path: a table or a folder.

    Raises:
        InputError: there is none.
    """
    if not path.is_dir():
        return [path]
    files = [f for f in sorted(path.rglob("*.csv")) if not f.name.startswith(".")]
    files = [f for f in files if f.stem != NO_PREDICTION]
    if not files:
        raise InputError(f"{path} holds no CSV: give what `sleepfm-jax risk` wrote")
    return files


def _read(file: Path, given: Path) -> RiskPredictions:
    header = _header(file)
    if PHECODE in header and SCORE in header:
        return _long(
            file, file.relative_to(given).with_suffix("").as_posix() if file != given else ""
        )
    table = subject_tables.read(file)
    scores = np.array(
        [
            [
                _number(file, cell, subject, code)
                for cell, code in zip(row, table.columns, strict=True)
            ]
            for subject, row in table.rows.items()
        ]
    )  # (N, L)
    return RiskPredictions(tuple(table.rows), table.columns, ("",) * len(table.columns), scores)


def _long(file: Path, name: str) -> RiskPredictions:
    """A line for each label of each subject."""
    scores: dict[str, dict[str, float]] = {}
    phenotypes: dict[str, str] = {}
    for row in _rows(file):
        subject = row.get(_SUBJECT) or name or file.stem
        code = row[PHECODE]
        own = scores.setdefault(subject, {})
        if code in own:
            raise InputError(f"{file} has {code} of {subject} twice: keep one line of each")
        own[code] = _number(file, row[SCORE], subject, code)
        phenotypes.setdefault(code, row.get(PHENOTYPE, ""))
    if not scores:
        raise InputError(f"{file} holds no risk: run `sleepfm-jax risk` again")
    for subject, own in scores.items():
        lacking = sorted(set(phenotypes) - set(own))
        if lacking:
            raise InputError(f"{file} lacks {some(lacking)} of {subject}: give all labels of each")
    table = np.array([[own[code] for code in phenotypes] for own in scores.values()])
    return RiskPredictions(tuple(scores), tuple(phenotypes), tuple(phenotypes.values()), table)


def _header(file: Path) -> list[str]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            return [_plain(name) for name in next(csv.reader(lines), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read ({error}): give a CSV file in UTF-8") from error


def _rows(file: Path) -> list[dict[str, str]]:
    header = _header(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.reader(lines))[1:]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read ({error}): give a CSV file in UTF-8") from error
    wrong = [number for number, row in enumerate(rows, start=2) if len(row) != len(header)]
    if wrong:
        raise InputError(f"{file}, line {wrong[0]} has not {len(header)} cells: write it again")
    return [dict(zip(header, map(str.strip, row), strict=True)) for row in rows]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]+", "_", name.strip().lower())


def _number(file: Path, text: str, subject: str, code: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(
            f"{file} gives {subject} {text!r} for {code}, which is no log hazard: predict again, "
            "or leave the subject out"
        )
    return value
