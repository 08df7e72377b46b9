"""A picture of a staged night: hypnogram over hypnodensity, and how long each stage took."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator, PercentFormatter

from sleepfm_jax.input_pipeline.hypnogram import EPOCH, STAGES, STEP, UNSCORED
from sleepfm_jax.jobs.plot import COLOURS, HEIGHTS

UNSCORED_HEIGHT = HEIGHTS["Wake"] + 1
STACKED = ("N3", "N2", "N1", "REM", "Wake")  # from the ground up


def draw(name: str, stages: np.ndarray, probabilities: np.ndarray, steps: int) -> Figure:
    """Draws a staged night.

    Args:
        name: of the night, the title.
        stages: (K,) int8 of 30-second epochs, −1 unscored.
        probabilities: (K, 5) of the stages; NaN where unscored.
        steps: 5-second steps of the night, which end the last epoch.
    """
    hours = np.append(np.arange(len(stages)) * EPOCH, steps * STEP) / 3600  # (K + 1,) edges
    with mpl.rc_context({"font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 4.8), layout="constrained", facecolor="white")
        grid = figure.add_gridspec(2, 2, width_ratios=(5.2, 1), height_ratios=(1.25, 1))
        top = figure.add_subplot(grid[0, 0])
        below = figure.add_subplot(grid[1, 0], sharex=top)
        _draw_hypnogram(top, hours, stages)
        _draw_hypnodensity(below, hours, probabilities)
        _draw_shares(figure.add_subplot(grid[0, 1], sharey=top), hours, stages)
        _draw_legend(figure.add_subplot(grid[1, 1]))
        top.set_title(name, loc="left", fontsize=12, fontweight="bold", color="#222222", pad=10)
    return figure


def _draw_hypnogram(axes: Axes, hours: np.ndarray, stages: np.ndarray) -> None:
    """A line from stage to stage, each stage's stretches thick in its colour."""
    heights = _heights(stages)
    first = np.flatnonzero(np.diff(stages, prepend=UNSCORED - 1))
    last = np.append(first[1:], len(stages))
    line = np.repeat(heights[first], 2)
    axes.plot(
        np.stack([hours[first], hours[last]], axis=1).ravel(), line, color="#b0b0b0", linewidth=0.7
    )
    for number, stage in [*enumerate(STAGES), (UNSCORED, "unscored")]:
        runs = stages[first] == number
        axes.hlines(
            heights[first[runs]],
            hours[first[runs]],
            hours[last[runs]],
            color=COLOURS[stage],
            linewidth=5.5,
        )
    scored = dict(HEIGHTS)
    if (stages == UNSCORED).any():
        scored["unscored"] = UNSCORED_HEIGHT
    axes.set_yticks(list(scored.values()), list(scored))
    axes.set(xlim=(0, hours[-1]), ylim=(-0.6, max(scored.values()) + 0.6))
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=False)
    axes.spines["left"].set_visible(False)


def _draw_hypnodensity(axes: Axes, hours: np.ndarray, probabilities: np.ndarray) -> None:
    """The probabilities of the stages upon each other; white where nothing is known."""
    ground = np.zeros(len(probabilities))
    for stage in STACKED:
        top = ground + probabilities[:, STAGES.index(stage)]
        axes.stairs(top, hours, baseline=ground, fill=True, color=COLOURS[stage], linewidth=0)
        ground = top
    axes.set(ylim=(0, 1), xlabel="hours from the start of the recording", ylabel="probability")
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MultipleLocator(_spacing(hours[-1])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda hour, _: _clock(hour)))


def _draw_shares(axes: Axes, hours: np.ndarray, stages: np.ndarray) -> None:
    """A bar for how long each stage took, beside its row of the hypnogram."""
    minutes = np.diff(hours) * 60  # (K,)
    rows: Sequence[tuple[int, str]] = list(enumerate(STAGES))
    if (stages == UNSCORED).any():
        rows = [*rows, (UNSCORED, "unscored")]
    total = {stage: float(minutes[stages == number].sum()) for number, stage in rows}
    whole = max(sum(total.values()), 1e-9)
    for stage, length in total.items():
        height = HEIGHTS.get(stage, UNSCORED_HEIGHT)
        axes.barh(height, length, height=0.42, color=COLOURS[stage])
        axes.annotate(
            f"{_duration(length)}  {length / whole:.0%}",
            (length, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color="#444444",
        )
    axes.set_xlim(0, max(*total.values(), 1e-9) * 1.9)
    axes.axis("off")


def _draw_legend(axes: Axes) -> None:
    """Squares in the order in which the stages are stacked, the highest first."""
    axes.axis("off")
    squares = [Patch(color=COLOURS[stage], label=stage) for stage in reversed(STACKED)]
    axes.legend(handles=squares, loc="center left", frameon=False, handlelength=1, labelspacing=0.7)


def _heights(stages: np.ndarray) -> np.ndarray:
    """(K,) row of each epoch in the hypnogram."""
    return np.array([HEIGHTS[name] for name in STAGES] + [UNSCORED_HEIGHT])[stages]


def _duration(minutes: float) -> str:
    """As in 1 h 05 min."""
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest:02d} min" if hours else f"{minutes:.2g} min"


def _clock(hours: float) -> str:
    """As in 3 or 3:30."""
    whole, rest = divmod(round(hours * 60), 60)
    return f"{whole}:{rest:02d}" if rest else f"{whole}"


def _spacing(hours: float) -> float:
    """Hours from tick to tick."""
    return next(s for s in (1 / 60, 1 / 12, 1 / 6, 0.5, 1, 2, 6, 24) if hours / s <= 12 or s == 24)
