"""Pictures of how well nights were staged: confusion, sleep statistics, a night twice."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sleepfm_jax.evaluate import bland_altman, staging
from sleepfm_jax.evaluate.staging import Agreement
from sleepfm_jax.input_pipeline.hypnogram import EPOCH, STAGES
from sleepfm_jax.jobs.plot import COLOURS, HEIGHTS
from sleepfm_jax.jobs.staged_nights import StagedNight

MOST_COHORTS = 8  # pictured; the tables have all
SHOWN = {
    "total_sleep_time": "total sleep time (min)",
    "sleep_efficiency": "sleep efficiency (%)",
    "sleep_onset_latency": "sleep onset latency (min)",
    "rem_latency": "REM latency (min)",
    "wake_after_sleep_onset": "wake after sleep onset (min)",
    "minutes_N3": "N3 (min)",
}


def confusions(agreements: Mapping[str, Agreement]) -> Figure:
    """Shares of each scored stage by predicted stage, a panel a cohort.

    Args:
        agreements: over 30-second epochs, by cohort; the last ones are drawn if there are many.
    """
    shown = list(agreements.items())[-MOST_COHORTS:]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(0.6 + 3.4 * columns, 3.9 * rows), layout="constrained")
    for place, (cohort, found) in enumerate(shown, start=1):
        _confusion(figure.add_subplot(rows, columns, place), cohort, found)
    figure.supxlabel("predicted", fontsize=9)
    figure.supylabel("scored", fontsize=9)
    return figure


def statistics(nights: Sequence[StagedNight]) -> Figure:
    """Bland–Altman plots of sleep statistics, model less scorer.

    Args:
        nights: at least one.
    """
    figure = Figure(figsize=(11, 6), layout="constrained")
    scorer, model = ([getattr(n, who).flat() for n in nights] for who in ("scorer", "model"))
    for place, (name, title) in enumerate(SHOWN.items(), start=1):
        reference, measured = (np.array([told[name] for told in by]) for by in (scorer, model))
        _bland_altman(figure.add_subplot(2, 3, place), reference, measured, title)
    figure.supxlabel("mean of scorer and model", fontsize=9)
    figure.supylabel("model less scorer", fontsize=9)
    return figure


def night(staged: StagedNight) -> Figure:
    """Both hypnograms of a night, and where they differ.

    Args:
        staged: the night.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=(4, 4, 0.7))
    matrix = staging.confusion(staged.truth_epochs, staged.epochs)
    figure.suptitle(
        f"{staged.name}: accuracy {staging.accuracy(matrix):.2f}, kappa "
        f"{staging.kappa(matrix):.2f} over {matrix.sum()} epochs of 30 s"
    )
    end = len(staged.epochs) * EPOCH / 3600
    for row, (who, stages) in enumerate(
        (("scorer", staged.truth_epochs), ("model", staged.epochs))
    ):
        axes = figure.add_subplot(grid[row])
        _hypnogram(axes, stages)
        axes.set(xlim=(0, end), ylabel=who)
        axes.tick_params(labelbottom=False)
    axes = figure.add_subplot(grid[2])
    scored = (staged.truth_epochs >= 0) & (staged.epochs >= 0)
    differs = np.where(scored, staged.truth_epochs != staged.epochs, np.nan)
    edges = np.arange(len(differs) + 1) * EPOCH / 3600
    axes.pcolormesh(edges, [0, 1], differs[None], cmap="Reds", vmin=0, vmax=1.3)
    axes.set(xlim=(0, end), yticks=[], xlabel="hours from the start of the recording")
    axes.set_ylabel("differ", rotation=0, ha="right", va="center")
    return figure


def _confusion(axes: Axes, cohort: str, found: Agreement) -> None:
    confusion(axes, found.confusion)
    values = found.values
    axes.set_title(
        f"{cohort}: {_count(found.nights, 'night')}, {_count(found.subjects, 'subject')}\n"
        f"accuracy {values['accuracy']:.2f}, macro-F1 {values['macro-F1']:.2f}, "
        f"kappa {values['kappa']:.2f}",
        fontsize=9,
    )


def confusion(axes: Axes, counts: np.ndarray) -> None:
    """Shares of each scored stage by predicted stage, in colour and in numbers.

    Args:
        axes: to draw in.
        counts: (5, 5) epochs by scored (rows) and predicted stage (columns).
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        if np.isfinite(share):
            text = f"{100 * share:.0f} %\n{counts[i, j]}"
            colour = "white" if share > 0.55 else "#222222"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(STAGES)), STAGES)
    axes.set_yticks(
        range(len(STAGES)),
        [f"{name}\n({total})" for name, total in zip(STAGES, totals[:, 0], strict=True)],
    )
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _bland_altman(axes: Axes, reference: np.ndarray, measured: np.ndarray, title: str) -> None:
    difference = measured - reference
    axes.plot((measured + reference) / 2, difference, "o", color="#4c72b0", markersize=4, alpha=0.7)
    found = bland_altman.limits(reference, measured)
    axes.axhline(0, color="#bbbbbb", linewidth=0.8)
    if found.count:
        axes.axhline(found.bias, color="#c44e52", linewidth=1.2)
    if found.count > 1:
        axes.axhspan(found.lower, found.upper, color="#c44e52", alpha=0.1, linewidth=0)
        said = f"{found.bias:+.1f} ({found.lower:+.1f} to {found.upper:+.1f}), n = {found.count}"
    else:
        said = f"{found.bias:+.1f}, n = 1" if found.count else "in no night of both"
    axes.set_title(f"{title}\n{said}", fontsize=9)


def _hypnogram(axes: Axes, stages: np.ndarray) -> None:
    """A line from stage to stage, each stretch of a stage thick in its colour."""
    first = np.flatnonzero(np.diff(stages, prepend=stages[0] - 1))
    begin, end = (at * EPOCH / 3600 for at in (first, np.append(first[1:], len(stages))))
    heights = np.array([HEIGHTS[name] for name in STAGES] + [np.nan])[stages[first]]
    hours = np.stack([begin, end], axis=1).ravel()
    axes.plot(hours, np.repeat(heights, 2), color="#999999", linewidth=0.7)
    for number, name in enumerate(STAGES):
        run = stages[first] == number
        axes.hlines(heights[run], begin[run], end[run], color=COLOURS[name], linewidth=4)
    axes.set_yticks(list(HEIGHTS.values()), list(HEIGHTS))
    axes.set_ylim(-0.6, 4.6)
