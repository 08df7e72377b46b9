"""Staged nights against a scorer's: numbers by cohort and night, sleep statistics, pictures."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate import bland_altman, staging
from sleepfm_jax.evaluate.staging import Agreement, Night
from sleepfm_jax.input_pipeline import subject_tables
from sleepfm_jax.input_pipeline.hypnogram import STAGES
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.jobs import pictures, result_tables, runner, staged_nights, staging_pictures
from sleepfm_jax.jobs.staged_nights import StagedNight

log = logging.getLogger(__name__)

RESOLUTIONS = (5, 30)  # seconds
ALL = "all"


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Whose a night is, and of which cohort.

    Attributes:
        subject: regular expression whose first group in a night's name is the subject; None:
            every night is a subject.
        cohort: likewise of the cohort; None: the first folder of the night's name, or `all`.
        table: CSV with `Study ID` (the night's name) and a column subject, cohort, or both, which
            goes before the expressions.
    """

    subject: str | None = None
    cohort: str | None = None
    table: Path | None = None

    def reader(self) -> Callable[[str], tuple[str, str]]:
        """A function of a night's name that gives subject and cohort.

        Raises:
            InputError: an expression is none, or the table cannot be read.
        """
        subject_of, cohort_of = Splits(subject=self.subject), Splits(subject=self.cohort)
        columns = _columns(self.table) if self.table else {}

        def read(night: str) -> tuple[str, str]:
            folder = night.split("/")[0] if "/" in night else ALL
            own = {name: self._cell(cells, name, night) for name, cells in columns.items()}
            subject = own.get("subject") or subject_of.subject_of(night)
            if "cohort" in own:
                return subject, own["cohort"]
            return subject, cohort_of.subject_of(night) if self.cohort else folder

        return read

    def _cell(self, cells: Mapping[str, str], name: str, night: str) -> str:
        found = cells.get(night) or cells.get(night.split("/")[-1])
        if not found:
            raise InputError(f"{self.table} has no {name} of {night}: add a line for it")
        return found


def evaluate_staging(
    predictions: Path,
    labels: Path,
    output: Path,
    grouping: Grouping | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    draw_nights: bool = False,
) -> tuple[runner.Summary, dict[str, Agreement]]:
    """Judges all nights of a folder and writes tables and pictures.

    Args:
        predictions: folder that `sleepfm-jax stage` wrote.
        labels: folder of the scorer's files, named as the nights.
        output: folder for the results.
        grouping: subjects and cohorts; None: every night is a subject, folders are cohorts.
        resamples: of subjects, for the intervals.
        seed: of the resamples.
        draw_nights: make a picture of every night, too.

    Returns:
        What became of the nights, and agreement over 30-second epochs by cohort.

    Raises:
        InputError: there is no prediction, or no night could be judged.
    """
    result_tables.refuse_inside(output, predictions)
    found = staged_nights.find_predictions(predictions)
    group = (grouping or Grouping()).reader()
    nights: list[tuple[StagedNight, str, str]] = []

    def judge(name: str) -> None:
        night = staged_nights.match(name, found[name], labels)
        nights.append((night, *group(name)))
        if night.note:
            log.warning("%s: %s", name, night.note)
        if draw_nights:
            pictures.save(
                functools.partial(staging_pictures.night, night), output / "nights" / f"{name}.png"
            )

    summary = runner.run(judge, list(found), output)
    if not nights:
        reasons = [reason for _, reason in summary.failed]
        raise InputError(
            f"no night of {predictions} could be judged by {labels}, the first because {reasons[0]}"
        )
    agreements = {
        resolution: staging.by_cohort(_compared(nights, resolution), resamples, seed)
        for resolution in RESOLUTIONS
    }
    _write_tables(output, nights, agreements)
    pictures.save(
        functools.partial(staging_pictures.confusions, agreements[30]), output / "confusion.png"
    )
    pictures.save(
        functools.partial(staging_pictures.statistics, [night for night, _, _ in nights]),
        output / "sleep_statistics.png",
    )
    return summary, agreements[30]


def _compared(nights: Sequence[tuple[StagedNight, str, str]], resolution: int) -> list[Night]:
    if resolution == 5:
        return [Night(who, where, n.truth_steps, n.steps) for n, who, where in nights]
    return [Night(who, where, n.truth_epochs, n.epochs) for n, who, where in nights]


def _write_tables(
    output: Path,
    nights: Sequence[tuple[StagedNight, str, str]],
    agreements: Mapping[int, Mapping[str, Agreement]],
) -> None:
    each = [(seconds, *pair) for seconds, found in agreements.items() for pair in found.items()]
    result_tables.write(
        output / "metrics.csv", [row for found in each for row in _metric_rows(*found)]
    )
    result_tables.write(
        output / "confusion.csv",
        [
            {"cohort": cohort, "seconds": seconds, "scored": STAGES[i], "predicted": STAGES[j]}
            | {"count": found.confusion[i, j]}
            for seconds, cohort, found in each
            for i, j in np.ndindex(found.confusion.shape)
        ],
    )
    result_tables.write(output / "nights.csv", [_night_row(*night) for night in nights])
    result_tables.write(
        output / "sleep_statistics.csv",
        [row for night, _, _ in nights for row in _statistics_rows(night)],
    )
    result_tables.write(
        output / "sleep_statistics_agreement.csv", agreement_rows([n for n, _, _ in nights])
    )


def _metric_rows(seconds: int, cohort: str, found: Agreement) -> list[dict[str, object]]:
    return [
        {
            "cohort": cohort,
            "seconds": seconds,
            "measure": name,
            "value": value,
            "lower": found.intervals[name][0],
            "upper": found.intervals[name][1],
            "subjects": found.subjects,
            "nights": found.nights,
            "count": int(found.confusion.sum()),
            "reason": found.reasons.get(name, ""),
        }
        for name, value in found.values.items()
    ]


def _night_row(night: StagedNight, subject: str, cohort: str) -> dict[str, object]:
    matrix = staging.confusion(night.truth_epochs, night.epochs)
    scored = int(matrix.sum())
    return {
        "night": night.name,
        "subject": subject,
        "cohort": cohort,
        "epochs": scored,
        "unscored_epochs": len(night.epochs) - scored,
        "accuracy": float(staging.accuracy(matrix)),
        "macro-F1": float(staging.macro_f1(matrix)),
        "kappa": float(staging.kappa(matrix)),
        "confidence": night.confidence,
        "note": night.note,
    }


def _statistics_rows(night: StagedNight) -> list[dict[str, object]]:
    return [
        {"night": night.name, "by": who, **told.flat()}
        | {"reason": "; ".join(f"{name}: {why}" for name, why in told.reasons.items())}
        for who, told in (("scorer", night.scorer), ("model", night.model))
    ]


def agreement_rows(nights: Sequence[StagedNight]) -> list[dict[str, object]]:
    """Bias and limits of agreement of each sleep statistic, model less scorer.

    Args:
        nights: at least one.
    """
    scorer, model = ([getattr(n, who).flat() for n in nights] for who in ("scorer", "model"))
    rows: list[dict[str, object]] = []
    for name in scorer[0]:
        if name not in ("lights_off", "lights_on", "time_in_bed"):  # the same for both
            pair = (np.array([told[name] for told in by]) for by in (scorer, model))
            rows.append({"statistic": name} | dataclasses.asdict(bland_altman.limits(*pair)))
    return rows


def _columns(table: Path) -> dict[str, dict[str, str]]:
    """Subject and cohort by night, for those columns that the table has."""
    read = subject_tables.read(table)
    there = [name for name in ("subject", "cohort") if name in map(str.lower, read.columns)]
    if not there:
        raise InputError(f"{table} has neither a column subject nor one cohort: add one of them")
    return {name: read.column(name) for name in there}
