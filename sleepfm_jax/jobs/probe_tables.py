"""The tables of a probe: every stage's numbers, the few-shot curve, and what was used."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sleepfm_jax.evaluate.classification import AREAS
from sleepfm_jax.evaluate.few_shot import NUMBERS
from sleepfm_jax.input_pipeline.embedded_rows import EmbeddedRows
from sleepfm_jax.input_pipeline.hypnogram import STAGES
from sleepfm_jax.jobs import result_tables

if TYPE_CHECKING:
    from sleepfm_jax.jobs.probe import Plan, Probed

OVERALL = ("accuracy", "macro-F1", "kappa", *(f"macro {name}" for name in AREAS))


def write(output: Path, rows: EmbeddedRows, plan: "Plan", found: Sequence["Probed"]) -> None:
    """Writes metrics.csv, summary.json and, where there is a curve, few_shot.csv.

    Args:
        output: folder for the results.
        rows: that were read.
        plan: how they were probed.
        found: by modality.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    result_tables.write(
        output / "metrics.csv",
        [_class_row(one, name) for one in found for name in ("macro", *STAGES)],
    )
    if plan.shots:
        result_tables.write(
            output / "few_shot.csv", [row for one in found for row in _shot_rows(one)]
        )
    result_tables.write_json(output / "summary.json", _summary(rows, plan, found))


def _class_row(one: "Probed", name: str) -> dict[str, object]:
    """A stage, or the means over all."""
    scores = one.scores
    cells: dict[str, object] = {"modality": one.modality, "class": name}
    numbers = {kind: f"macro {kind}" if name == "macro" else f"{kind} {name}" for kind in AREAS}
    numbers["F1"] = "macro-F1" if name == "macro" else f"F1 {name}"
    for column, key in numbers.items():
        cells[column] = scores.values[key]
        cells[f"{column}_lower"], cells[f"{column}_upper"] = scores.intervals[key]
    stage = None if name == "macro" else STAGES.index(name)
    cells["prevalence"] = np.nan if stage is None else scores.prevalence[name]
    cells["support"] = scores.samples if stage is None else int(scores.confusion[stage].sum())
    reasons = dict.fromkeys(
        scores.reasons[key] for key in numbers.values() if key in scores.reasons
    )
    return cells | {"reason": "; ".join(reasons)}


def _shot_rows(one: "Probed") -> list[dict[str, object]]:
    """The curve, with the probe of all training subjects at its end."""
    rows: list[dict[str, object]] = []
    for shots in one.shots:
        cells: dict[str, object] = {"modality": one.modality, "subjects": shots.subjects}
        for name in NUMBERS:
            cells[name] = shots.mean(name)
            cells[f"{name}_sd"] = shots.spread(name)
        cells["draws"] = len(shots.samples)
        cells["mean_samples"] = float(shots.samples.mean())
        cells["draws_without_a_class"] = shots.incomplete
        cells["draws_not_fitted"] = shots.unfitted
        rows.append(cells)
    whole: dict[str, object] = dict.fromkeys(rows[0], 0)
    whole |= {"modality": one.modality, "subjects": one.train_subjects, "draws": 1}
    for name in NUMBERS:
        whole[name], whole[f"{name}_sd"] = one.scores.values[name], np.nan
    whole["mean_samples"] = one.classifier.samples
    return [*rows, whole]


def _summary(rows: EmbeddedRows, plan: "Plan", found: Sequence["Probed"]) -> dict[str, object]:
    return {
        "plan": dataclasses.asdict(plan),
        **rows.summary(),
        "splits": {split: _split(rows, split) for split in (plan.train, plan.test)},
        "by_modality": {one.modality: _numbers(one) for one in found},
    }


def _split(rows: EmbeddedRows, split: str) -> dict[str, object]:
    part = rows.of_split(split)
    stages = np.bincount(rows.stages[part], minlength=len(STAGES))
    return {
        "rows": part.stop - part.start,
        "nights": len(np.unique(rows.night_of[part])),
        "subjects": len(np.unique(rows.subject_of[part])),
        "stages": dict(zip(STAGES, stages, strict=True)),
    }


def _numbers(one: "Probed") -> dict[str, object]:
    scores = one.scores
    told: dict[str, object] = {
        name: {
            "value": scores.values[name],
            "interval": scores.intervals[name],
            "reason": scores.reasons.get(name, ""),
        }
        for name in OVERALL
    }
    return told | {
        "train_rows": one.classifier.samples,
        "train_subjects": one.train_subjects,
        "test_rows": scores.samples,
        "test_subjects": scores.subjects,
        "rows_without_the_modality_left_out": one.lacking,
        "converged": one.classifier.converged,
        "iterations": one.classifier.iterations,
    }
