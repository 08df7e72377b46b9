"""The picture of a run: loss over steps, and how good its answers on held-out nights are."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.train import metrics_file

PICTURE = "curves.png"
TRAIN_LOSS, VALIDATION_LOSS = "train/loss", "validation/loss"
RETRIEVAL = "validation/retrieval/"  # top1, top5, candidates
SCORES = {  # of the heads: name, and what chance would reach
    "validation/macro_f1/30s": ("macro-F1, 30 s", None),
    "validation/kappa/30s": ("Cohen's kappa, 30 s", 0.0),
    "validation/concordance": ("C-index, mean over labels", 0.5),
}
SMOOTHED = 10  # points to either side that the line through the training losses is the mean of


def plot(path: str | os.PathLike[str], picture: str | os.PathLike[str] | None = None) -> Path:
    """Draws the metrics of a run.

    Args:
        path: its metrics.jsonl.
        picture: the PNG; None: `curves.png` beside the metrics.

    Returns:
        Where the picture is.

    Raises:
        InputError: the metrics cannot be read, or the picture cannot be written.
    """
    path = Path(path)
    target = path.with_name(PICTURE) if picture is None else Path(picture)
    lines = metrics_file.read(path)
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, answers = figure.subplots(1, 2)
    _draw_loss(loss, lines)
    if any(name in line for line in lines for name in SCORES):
        _draw_scores(answers, lines)
    else:
        _draw_retrieval(answers, lines)
    try:
        with replacing(target) as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror}); free some space or choose another "
            "folder"
        ) from error
    return target


def curve(lines: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Steps and values of a metric, where it is a number."""
    points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
    return [step for step, _ in points], [value for _, value in points]


def smooth(values: Sequence[float], reach: int = SMOOTHED) -> list[float]:
    """Mean over `reach` points to either side, as far as there are any."""
    windows = (values[max(0, n - reach) : n + reach + 1] for n in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _draw_loss(axes: Axes, lines: Sequence[dict[str, Any]]) -> None:
    steps, losses = curve(lines, TRAIN_LOSS)
    if steps:
        many = len(steps) > 100
        axes.plot(steps, losses, color="tab:blue", alpha=0.3 if many else 1, linewidth=1)
        if many:
            axes.plot(steps, smooth(losses), color="tab:blue")
        axes.lines[-1].set_label("training")
    steps, losses = curve(lines, VALIDATION_LOSS)
    if steps:
        axes.plot(steps, losses, "o-", color="tab:orange", markersize=3, label="held-out nights")
    _finish(axes, "loss")


def _draw_retrieval(axes: Axes, lines: Sequence[dict[str, Any]]) -> None:
    """Solid what is reached, dashed in the same colour what chance would reach."""
    steps, candidates = curve(lines, RETRIEVAL + "candidates")
    for top, colour in ((1, "tab:blue"), (5, "tab:green")):
        reached = curve(lines, f"{RETRIEVAL}top{top}")
        if reached[0]:
            axes.plot(*reached, "o-", color=colour, markersize=3, label=f"top-{top}")
        if steps:
            chance = [min(1.0, top / number) if number else 1.0 for number in candidates]
            axes.plot(steps, chance, "--", color=colour, label=f"top-{top} by chance")
    if steps:
        axes.set_title(f"among {candidates[-1]:.0f} candidates from held-out nights", fontsize=10)
    axes.set_ylim(0, 1)
    _finish(axes, "windows whose partner is found")


def _draw_scores(axes: Axes, lines: Sequence[dict[str, Any]]) -> None:
    """Solid what is reached, dashed in the same colour what chance would reach."""
    colours = ("tab:blue", "tab:green", "tab:blue")
    for (name, (label, chance)), colour in zip(SCORES.items(), colours, strict=True):
        steps, values = curve(lines, name)
        if steps:
            axes.plot(steps, values, "o-", color=colour, markersize=3, label=label)
        if steps and chance is not None:
            axes.axhline(chance, linestyle="--", color=colour, label=f"{label}, by chance")
    axes.set_title("held-out nights", fontsize=10)
    axes.set_ylim(0, 1)
    _finish(axes, "agreement with the labels")


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlabel("training steps")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False, fontsize=9)
    else:
        axes.text(0.5, 0.5, "not measured yet", ha="center", transform=axes.transAxes)
