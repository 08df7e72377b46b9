"""Pictures of how well risks were told: C-indices, calibration, survival of risk groups."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from sleepfm_jax.evaluate import survival
from sleepfm_jax.evaluate.calibration import LIMIT, Calibration
from sleepfm_jax.evaluate.concordance import Discrimination
from sleepfm_jax.input_pipeline.outcomes import OutcomeTable
from sleepfm_jax.jobs.risk_calibration import COHORT, Calibrated

THIRDS = {"low": "#4c72b0", "middle": "#d9a441", "high": "#c44e52"}


def forest(found: Discrimination, table: OutcomeTable, labels: Sequence[int]) -> Figure:
    """C-indices of some labels with their intervals, best first.

    Args:
        found: of all labels.
        table: their outcomes.
        labels: which to draw.
    """
    figure = Figure(figsize=(9, 1.2 + 0.27 * len(labels)), layout="constrained")
    axes = figure.add_subplot()
    places = -np.arange(len(labels))
    at = list(labels)
    centre, lower, upper = found.estimate[at], found.lower[at], found.upper[at]
    passes = found.p_bonferroni[at] < 0.05
    axes.hlines(places, lower, upper, color="#4c72b0", linewidth=1.5)
    for chosen, face in ((passes, "#4c72b0"), (~passes, "white")):
        axes.plot(centre[chosen], places[chosen], "o", color="#4c72b0", mfc=face, ms=5)
    axes.axvline(0.5, color="#888888", linewidth=0.8, linestyle="--")
    names = [_name(table, label, 60) + f"  ({table.event[:, label].sum()})" for label in labels]
    axes.set_yticks(places, names)
    axes.set(xlabel="C-index, 95 % interval", ylim=(-len(labels) + 0.4, 0.6))
    axes.set_title(
        "the best labels (events); filled: p < 0.05 by Bonferroni's correction", fontsize=9
    )
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    return figure


def calibrations(
    calibrated: Calibrated, table: OutcomeTable, labels: Sequence[int], horizon: float
) -> Figure:
    """Observed over predicted risk in groups of rising risk, a panel a label.

    Args:
        calibrated: of all labels.
        table: their outcomes.
        labels: which to draw.
        horizon: days.
    """
    figure, panels = _panels(len(labels))
    for axes, label in zip(panels, labels, strict=True):
        _calibration(axes, calibrated.labels[label])
        axes.set_title(_title(table, label), fontsize=9)
    figure.supxlabel(f"predicted risk by {horizon / survival.YEAR:g} years", fontsize=9)
    figure.supylabel("observed risk (Kaplan–Meier, 95 %)", fontsize=9)
    if calibrated.baseline == COHORT:
        figure.suptitle("the level of the risks is that of these outcomes themselves", fontsize=9)
    return figure


def survivals(log_hazard: np.ndarray, table: OutcomeTable, labels: Sequence[int]) -> Figure:
    """Share that falls ill over time in thirds of risk, a panel a label.

    Args:
        log_hazard: (N, L).
        table: outcomes.
        labels: which to draw.
    """
    figure, panels = _panels(len(labels))
    for place, (axes, label) in enumerate(zip(panels, labels, strict=True)):
        _survival(axes, log_hazard[:, label], table.time[:, label], table.event[:, label])
        axes.set_title(_title(table, label), fontsize=9)
        if place == 0:
            axes.legend(frameon=False, fontsize=8, loc="upper left", title="third by risk")
    figure.supxlabel("years from the night", fontsize=9)
    figure.supylabel("share with the diagnosis (Kaplan–Meier, 95 %)", fontsize=9)
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(0.6 + 3.3 * columns, 0.6 + 2.9 * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, place + 1) for place in range(count)]


def _calibration(axes: Axes, found: Calibration) -> None:
    known = np.isfinite(found.predicted) & np.isfinite(found.observed)
    x, y = found.predicted[known], found.observed[known]
    low, high = (
        np.where(np.isfinite(e), e, y)[...] for e in (found.lower[known], found.upper[known])
    )
    axes.errorbar(
        x, y, yerr=[y - low, high - y], fmt="o-", color="#4c72b0", markersize=4, linewidth=1
    )
    end = 1.08 * max([*x, *high, 1e-3])
    axes.plot([0, end], [0, end], color="#888888", linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, end), ylim=(0, end))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    if not known.any():
        axes.text(
            0.5, 0.5, "nobody is followed to the horizon", ha="center", transform=axes.transAxes
        )


def _survival(axes: Axes, score: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
    known = time >= 0
    third = np.full(len(score), -1)
    third[known] = survival.groups(score[known], len(THIRDS))
    top = 1e-3
    for number, (name, colour) in enumerate(THIRDS.items()):
        at = third == number
        if not at.any():
            continue
        curve = survival.kaplan_meier(time[at], event[at])
        years = np.append(0, curve.times) / survival.YEAR
        ill = 1 - np.append(1, curve.survival)
        spread = LIMIT * np.append(0, curve.error)
        enough = np.append(True, curve.at_risk >= 5)  # beyond, a curve tells of a few people
        years, ill, spread = years[enough], ill[enough], spread[enough]
        axes.step(years, ill, where="post", color=colour, linewidth=1.3, label=name)
        axes.fill_between(
            years,
            np.clip(ill - spread, 0, 1),
            np.clip(ill + spread, 0, 1),
            step="post",
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
        top = max(top, ill.max(initial=0))
    axes.set(xlim=(0, None), ylim=(0, min(1.0, 1.35 * top)))
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _name(table: OutcomeTable, label: int, width: int) -> str:
    said = f"{table.phenotypes[label]} [{table.labels[label]}]".strip()
    return textwrap.shorten(said, width, placeholder=" …")


def _title(table: OutcomeTable, label: int) -> str:
    return f"{_name(table, label, 42)}\n{table.event[:, label].sum()} events"
