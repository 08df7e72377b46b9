"""Predicted risks against what happened: C-indices, AUROC, calibration; tables and pictures."""

import contextlib
import dataclasses
import functools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate import auroc, bootstrap, concordance, survival
from sleepfm_jax.evaluate.concordance import Discrimination
from sleepfm_jax.input_pipeline.outcomes import OutcomeTable, read_outcomes
from sleepfm_jax.jobs import (
    pictures,
    result_tables,
    risk_calibration,
    risk_pictures,
    risk_predictions,
    risk_tables,
    runner,
)
from sleepfm_jax.jobs.risk_predictions import RiskPredictions

log = logging.getLogger(__name__)

BEST = 30  # labels in the forest
DRAWN = 6  # labels with calibration and survival


@dataclasses.dataclass(frozen=True)
class Settings:
    """How risks are judged.

    Attributes:
        horizon: years, of AUROC, calibration and absolute risk.
        resamples: of subjects, for the intervals.
        seed: of the resamples.
        model: folder of the model, for its baseline hazard; None: that of the outcomes themselves.
        against: risks by another model of the same subjects, to compare with; None: no other.
    """

    horizon: float = 6.0
    resamples: int = 1000
    seed: int = 0
    model: Path | None = None
    against: Path | None = None


@dataclasses.dataclass(frozen=True)
class Judged:
    """What is known of L labels.

    Attributes:
        table: outcomes of the N subjects, by label.
        log_hazard: (N, L).
        c_index: by label.
        auroc: (L, 1 + R) samples at the horizon, the estimate first.
        horizon: days.
    """

    table: OutcomeTable
    log_hazard: np.ndarray
    c_index: Discrimination
    auroc: np.ndarray
    horizon: float

    def best(self, count: int) -> list[int]:
        """Labels by falling C-index, those with an interval first."""
        estimate = self.c_index.estimate
        known = np.flatnonzero(np.isfinite(estimate))
        sure = np.isfinite(self.c_index.lower)
        return [int(at) for at in known[np.lexsort((-estimate[known], ~sure[known]))][:count]]


def evaluate_risk(
    predictions: Path, outcomes: Path, output: Path, settings: Settings | None = None
) -> tuple[runner.Summary, Judged]:
    """Judges the risks of a cohort and writes tables and pictures.

    Args:
        predictions: what `sleepfm-jax risk` wrote, as `risk_predictions.read` takes it.
        outcomes: folder of is_event.csv and time_to_event.csv.
        output: folder for the results.
        settings: None: the defaults.

    Returns:
        What became of the predictions, and the results.

    Raises:
        InputError: a table cannot be read, predictions and outcomes have no subject or no phecode
            in common, or the folder cannot be written.
    """
    settings = settings or Settings()
    result_tables.refuse_inside(output, predictions)
    table = read_outcomes(outcomes)
    told, summary = risk_predictions.read(predictions, output)
    other = risk_predictions.read_whole(settings.against) if settings.against else None
    subjects = _common(told, table, other, outcomes, output, summary)
    names = _names(told, table)
    told = told.of_labels([code for code, _ in names])
    table = table.of_labels(names).of_subjects(subjects)
    judged, samples, counts = _judge(table, told.of_subjects(subjects), settings)
    rows = risk_tables.metrics(
        judged.log_hazard, table, judged.c_index, judged.auroc, judged.horizon
    )
    result_tables.write(output / "metrics.csv", rows)
    if other:
        _compare(judged, samples, counts, other, subjects, output)
    with _bar("calibration", len(table.labels)) as advance:
        calibrated = risk_calibration.calibrate(
            judged.log_hazard, table, judged.horizon, settings.model, advance
        )
    result_tables.write(output / "calibration.csv", risk_calibration.rows(calibrated, table))
    _draw(judged, calibrated, output)
    return summary, judged


def _names(told: RiskPredictions, table: OutcomeTable) -> list[tuple[str, str]]:
    """Phecodes of the risks with their phenotypes, in the order of the outcomes."""
    own = dict(zip(told.labels, told.phenotypes, strict=True))
    words = dict(zip(table.labels, table.phenotypes, strict=True))
    ordered = [code for code in table.labels if code in own]
    ordered += [code for code in told.labels if code not in words]
    return [(code, own[code] or words.get(code, "")) for code in ordered]


def _common(
    told: RiskPredictions,
    table: OutcomeTable,
    other: RiskPredictions | None,
    outcomes: Path,
    output: Path,
    summary: runner.Summary,
) -> list[str]:
    """Subjects in all tables; those of some alone are listed in left_out.csv."""
    predicted, followed = set(told.subjects), set(table.subjects)
    both = followed & set(other.subjects) if other else followed
    subjects = [one for one in told.subjects if one in both]
    left_out = [
        (one, "no risk by the other model" if one in followed else "no outcomes")
        for one in told.subjects
        if one not in both
    ]
    left_out += [(one, "no risk") for one in table.subjects if one not in predicted]
    left_out += table.left_out
    if not subjects:
        raise InputError(
            f"{outcomes} has outcomes of {table.subjects[0]!r} and others, but of none of the "
            f"{len(told.subjects)} subjects with risks, such as {told.subjects[0]!r}: give the "
            "same Study IDs in both"
        )
    path = output / "left_out.csv"
    if left_out:
        rows = [{"Study ID": subject, "reason": reason} for subject, reason in left_out]
        result_tables.write(path, rows)
        log.warning("%d subjects are left out: %s lists them", len(left_out), path)
    else:
        path.unlink(missing_ok=True)
    summary.failed += [(one, f"{one}: {why}") for one, why in left_out if why == "no outcomes"]
    return subjects


def _judge(
    table: OutcomeTable, log_hazard: np.ndarray, settings: Settings
) -> tuple[Judged, np.ndarray, np.ndarray]:
    """Results, C-indices in every resample (L, 1 + R), and the resamples (N, 1 + R)."""
    time, event, horizon = table.time, table.event, settings.horizon * survival.YEAR
    counts = bootstrap.multiplicities(len(time), settings.resamples, settings.seed)
    with _bar("C-index", time.shape[1]) as advance:
        samples = concordance.resampled(log_hazard, time, event, counts, advance)
    with _bar("AUROC", time.shape[1]) as advance:
        areas = auroc.auroc(log_hazard, time, event, horizon, counts, advance)
    reasons = concordance.reasons(log_hazard, time, event)
    found = concordance.evaluate(samples, time, event, reasons)
    return Judged(table, log_hazard, found, areas, horizon), samples, counts


def _compare(
    judged: Judged,
    samples: np.ndarray,
    counts: np.ndarray,
    other: RiskPredictions,
    subjects: Sequence[str],
    output: Path,
) -> None:
    """Writes differences of C-indices for the labels that both models have."""
    table = judged.table
    both = [label for label, code in enumerate(table.labels) if code in other.labels]
    if not both:
        raise InputError("the two models have no phecode in common: compare models of like labels")
    theirs = other.of_labels([table.labels[label] for label in both]).of_subjects(subjects)
    kept = table.of_labels([(table.labels[b], table.phenotypes[b]) for b in both])
    with _bar("other C-index", len(both)) as advance:
        against = concordance.resampled(theirs, kept.time, kept.event, counts, advance)
    reasons = concordance.reasons(theirs, kept.time, kept.event)
    found = concordance.difference(samples[both], against, kept.event, reasons)
    rows = risk_tables.discrimination(found, kept, "difference")
    for row, label, own in zip(rows, both, against[:, 0], strict=True):
        row |= {"c_index": samples[label, 0], "other_c_index": own}
    result_tables.write(output / "difference.csv", rows)


def _draw(judged: Judged, calibrated: risk_calibration.Calibrated, output: Path) -> None:
    best = judged.best(BEST)
    if not best:
        log.warning("no label has a C-index, so there is nothing to draw")
        return
    few = best[:DRAWN]
    figures = {
        "c_index": functools.partial(risk_pictures.forest, judged.c_index, judged.table, best),
        "calibration": functools.partial(
            risk_pictures.calibrations, calibrated, judged.table, few, judged.horizon
        ),
        "survival": functools.partial(
            risk_pictures.survivals, judged.log_hazard, judged.table, few
        ),
    }
    for name, draw in figures.items():
        pictures.save(draw, output / f"{name}.png")


@contextlib.contextmanager
def _bar(what: str, labels: int) -> Iterator[Callable[[], object]]:
    with tqdm(total=labels, desc=what, unit="label", disable=not sys.stderr.isatty()) as bar:
        yield bar.update
