"""Pictures of a probe: curves and confusion of the stages, and what few subjects teach."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from sleepfm_jax.input_pipeline.hypnogram import STAGES
from sleepfm_jax.jobs import staging_pictures
from sleepfm_jax.jobs.plot import COLOURS

if TYPE_CHECKING:
    from sleepfm_jax.jobs.probe import Probed

LINES = ("#4c72b0", "#c44e52", "#55a868", "#8172b3", "#222222")


def stages(found: Sequence["Probed"]) -> Figure:
    """ROC and precision–recall curves of each stage and the confusion, a row a modality.

    Args:
        found: by modality.
    """
    figure = Figure(figsize=(11.5, 3.9 * len(found)), layout="constrained")
    for row, one in enumerate(found):
        first, second, third = (
            figure.add_subplot(len(found), 3, 3 * row + place) for place in (1, 2, 3)
        )
        _roc(first, one)
        _precision_recall(second, one)
        staging_pictures.confusion(third, one.scores.confusion)
        values = one.scores.values
        third.set(xlabel="told by the probe", ylabel="scored")
        third.set_title(
            f"accuracy {values['accuracy']:.2f}, macro-F1 {values['macro-F1']:.2f}, "
            f"kappa {values['kappa']:.2f}",
            fontsize=9,
        )
    return figure


def few_shot(found: Sequence["Probed"]) -> Figure:
    """Numbers over the subjects that the probe was fitted on: mean, spread and every draw.

    Args:
        found: by modality, with a curve each.
    """
    figure = Figure(figsize=(9.5, 3.9), layout="constrained")
    for place, name in enumerate(("macro AUROC", "macro AUPRC"), start=1):
        axes = figure.add_subplot(1, 2, place)
        for number, one in enumerate(found):
            _curve(axes, one, name, LINES[number % len(LINES)], 1 + 0.02 * (number - 1))
        counts = {s.subjects for one in found for s in one.shots}
        counts |= {one.train_subjects for one in found}
        axes.set_xscale("log")
        axes.set_xticks(sorted(counts), [str(count) for count in sorted(counts)])
        axes.minorticks_off()
        axes.set(xlabel="training subjects", ylabel=name)
        if place == 1:
            axes.axhline(0.5, color="#bbbbbb", linewidth=0.8)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False
    )
    draws = len(found[0].shots[0].samples)
    figure.suptitle(f"mean and SD of {draws} draws; large dots: all training subjects", fontsize=9)
    return figure


def _roc(axes: Axes, one: "Probed") -> None:
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
    for k, name in enumerate(STAGES):
        value = one.scores.values[f"AUROC {name}"]
        if np.isfinite(value):
            wrong, right, _ = roc_curve(one.truth == k, one.probabilities[:, k])
            axes.plot(
                wrong, right, color=COLOURS[name], linewidth=1.4, label=_said(one, k, "AUROC")
            )
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title(_heading(one, "AUROC"), fontsize=9)
    axes.legend(frameon=False, fontsize=7, loc="lower right")


def _precision_recall(axes: Axes, one: "Probed") -> None:
    for k, name in enumerate(STAGES):
        value = one.scores.values[f"AUPRC {name}"]
        if np.isfinite(value):
            precision, recall, _ = precision_recall_curve(one.truth == k, one.probabilities[:, k])
            axes.plot(
                recall, precision, color=COLOURS[name], linewidth=1.4, label=_said(one, k, "AUPRC")
            )
            share = one.scores.prevalence[name]
            axes.axhline(share, color=COLOURS[name], linewidth=0.8, linestyle=":")
    axes.set(xlabel="recall (dotted: guessing)", ylabel="precision", ylim=(0, 1.02))
    axes.set_title(_heading(one, "AUPRC"), fontsize=9)
    axes.legend(framealpha=0.8, edgecolor="none", fontsize=7, loc="best")


def _said(one: "Probed", k: int, kind: str) -> str:
    """A stage with the area under its curve."""
    name = f"{kind} {STAGES[k]}"
    low, high = one.scores.intervals[name]
    limits = f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else ""
    return f"{STAGES[k]} {one.scores.values[name]:.2f}{limits}"


def _heading(one: "Probed", kind: str) -> str:
    return f"{one.modality}: macro {kind} {one.scores.values[f'macro {kind}']:.2f}"


def _curve(axes: Axes, one: "Probed", name: str, colour: str, shift: float) -> None:
    """Draws as dots, their mean and spread as a line with bars, the whole split at its end."""
    for shots in one.shots:
        draws = shots.values[name]
        at = np.full(len(draws), shift * shots.subjects)
        axes.plot(at, draws, ".", color=colour, alpha=0.3, markersize=4)
    counts = np.array([shift * shots.subjects for shots in one.shots] + [one.train_subjects])
    means = np.array([shots.mean(name) for shots in one.shots] + [one.scores.values[name]])
    spreads = np.array([shots.spread(name) for shots in one.shots] + [0.0])
    axes.errorbar(
        counts, means, spreads, color=colour, linewidth=1.4, capsize=2, label=one.modality
    )
    axes.plot(counts[-1:], means[-1:], "o", color=colour, markersize=5)
