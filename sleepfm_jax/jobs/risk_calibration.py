"""Calibration of all labels of a cohort, by a model's own baseline hazard or the cohort's."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate import pairs, survival
from sleepfm_jax.evaluate.calibration import Calibration, calibration
from sleepfm_jax.input_pipeline.outcomes import OutcomeTable

log = logging.getLogger(__name__)

MODEL, COHORT = "model", "these outcomes"
TIMES, CUMULATIVE = "baseline.times", "baseline.cumulative"  # among a model's weights
LEEWAY = 31  # days by which a baseline may end before the horizon


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """Predicted and observed risks of L labels.

    Attributes:
        labels: (L,) each in groups of rising risk.
        baseline: whose: `model`, from its training subjects; or `these outcomes`, so that only
            the spread of the risks is tested and not their level.
    """

    labels: tuple[Calibration, ...]
    baseline: str


def calibrate(
    log_hazard: np.ndarray,
    table: OutcomeTable,
    horizon: float,
    model: Path | None,
    advance: Callable[[], object] | None = None,
) -> Calibrated:
    """Compares risks by a horizon with what happened, in fifths of each label's risk.

    Args:
        log_hazard: (N, L).
        table: outcomes of the N subjects and L labels.
        horizon: days.
        model: folder of the model; None: the baseline is that of the outcomes.
        advance: called as each label is done.

    Raises:
        InputError: the model cannot be read.
    """
    read = _baseline_of(model, table.labels, horizon) if model else None
    baseline = read or survival.baseline(log_hazard, table.time, table.event, np.array([horizon]))
    risks = survival.risk(log_hazard, *baseline, horizon)

    def one(label: int) -> Calibration:
        return calibration(risks[:, label], table.time[:, label], table.event[:, label], horizon)

    found = pairs.each_label(one, risks.shape[1], advance)
    return Calibrated(tuple(found), MODEL if read else COHORT)


def rows(calibrated: Calibrated, table: OutcomeTable) -> list[dict[str, object]]:
    """A row for each group of each label.

    Args:
        calibrated: of the labels of `table`.
        table: outcomes.
    """
    return [
        {
            "phecode": code,
            "group": group + 1,
            **{name: values[group] for name, values in dataclasses.asdict(found).items()},
            "baseline": calibrated.baseline,
            "reason": _reason(found, group),
        }
        for code, found in zip(table.labels, calibrated.labels, strict=True)
        for group in range(len(found.predicted))
    ]


def _reason(found: Calibration, group: int) -> str:
    if not found.subjects.any():
        return "no outcome is known, or no event tells the baseline hazard"
    if not found.subjects[group]:
        return "no subject: too many have the same risk"
    if np.isnan(found.observed[group]):
        return "the group is not followed to the horizon"
    if np.isnan(found.lower[group]):
        return "no interval: nobody or everybody had the event"
    return ""


def _baseline_of(
    model: Path, labels: tuple[str, ...], horizon: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Times (K,) and cumulative hazard (K, L) of these labels; None where the model tells none."""
    from sleepfm_jax import saved_model  # JAX takes a second to import

    saved = saved_model.load(model, "diagnosis")
    times = saved.weights.get(TIMES, np.zeros(0))
    if saved.outcomes is None or not len(times) or horizon > times[-1] + LEEWAY:
        log.warning(
            "%s has no baseline hazard that goes %.1f years: that of the outcomes is taken, which "
            "tests the spread of the risks and not their level",
            model,
            horizon / survival.YEAR,
        )
        return None
    places = {code: place for place, (code, _) in enumerate(saved.outcomes.labels)}
    lacking = [code for code in labels if code not in places]
    if lacking:
        raise InputError(
            f"{model} does not know {lacking[0]!r} ({len(lacking)} phecodes in all): give the "
            "model that made the predictions"
        )
    return times, saved.weights[CUMULATIVE][:, [places[code] for code in labels]]
