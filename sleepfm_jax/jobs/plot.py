"""A picture of each night: its embeddings over time, beneath its hypnogram if there is one."""

import os
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, embeddings
from sleepfm_jax.input_pipeline.annotations import STAGES, UNSCORED, Hypnogram
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings

WINDOW = 60  # patches
COMPONENTS = 8  # principal components shown a modality
HEIGHTS = {"Wake": 4, "REM": 3, "N1": 2, "N2": 1, "N3": 0}  # as sleep laboratories draw them
COLOURS = {
    "Wake": "#d9a441",
    "REM": "#c44e52",
    "N1": "#8fb8de",
    "N2": "#4c72b0",
    "N3": "#1b2a49",
    "unscored": "#bbbbbb",
}


def plot(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    stages: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Draws every night of a folder of embeddings.

    Args:
        folder: that `sleepfm-jax embed` wrote.
        output: folder for `NIGHT.png`.
        stages: folder of label files named as the nights (`annotations.find`); a night without
            one has no hypnogram.

    Returns:
        The pictures.

    Raises:
        InputError: there are no embeddings, or a file cannot be read.
    """
    sequences = sorted((Path(folder) / "sequence").rglob("*.hdf5"))
    if not sequences:
        raise InputError(f"{folder} holds no embeddings: make some with `sleepfm-jax embed`")
    pictures = []
    for path in sequences:
        name = str(path.relative_to(Path(folder) / "sequence").with_suffix(""))
        scored = annotations.find(stages, name) if stages else None
        hypnogram = annotations.read_hypnogram(scored) if scored else None
        picture = Path(output) / f"{name}.png"
        with replacing(picture) as temporary:
            draw(embeddings.read(folder, name), hypnogram).savefig(temporary, format="png", dpi=110)
        pictures.append(picture)
    return pictures


def without_positions(rows: np.ndarray) -> np.ndarray:
    """Embeddings less what their position in the window adds alike in all windows.

    The model adds a position to each of a window's 60 patches (spec §1.3); in a picture of a night
    it would show as a 5-minute rhythm. Nights of fewer than four windows are left as they are.

    Args:
        rows: (S, E), 5-second embeddings from the night's start.
    """
    if len(rows) < 4 * WINDOW:
        return rows
    position = np.arange(len(rows)) % WINDOW
    means = np.stack([rows[position == p].mean(axis=0) for p in range(WINDOW)])  # (60, E)
    return rows - means[position]


def principal_components(rows: np.ndarray, count: int) -> np.ndarray:
    """The first principal components of embeddings, each scaled to unit variance.

    Args:
        rows: (T, E).
        count: K.

    Returns:
        (T, K) by falling variance; fewer columns where the rows span fewer dimensions. The sign
        makes each component's largest deviation positive.
    """
    centred = rows - rows.mean(axis=0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    real = spread[:count] > 1e-6 * max(spread[0], 1e-30)
    components = left[:, :count][:, real] * np.sqrt(len(rows))
    peaks = components[np.abs(components).argmax(axis=0), np.arange(components.shape[1])]
    return components * np.sign(peaks)


def draw(night: NightEmbeddings, hypnogram: Hypnogram | None) -> Figure:
    """The picture of one night: hypnogram, components of each modality, and a map of its patches.

    Args:
        night: its 5-second embeddings are shown.
        hypnogram: stages, or None.
    """
    modalities = list(night.sequence)
    top = 0 if hypnogram is None else 1
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(13, 1.6 + 1.25 * (len(modalities) + top)), layout="constrained")
        grid = figure.add_gridspec(len(modalities) + top, 2, width_ratios=(3, 1.15))
        hours = night.sequence_times / 3600
        stages = (
            np.full(len(hours), UNSCORED)
            if hypnogram is None
            else hypnogram.at(night.sequence_times)
        )
        if hypnogram is not None:
            _draw_hypnogram(figure.add_subplot(grid[0, 0]), hours, stages)
        for row, modality in enumerate(modalities, start=top):
            axes = figure.add_subplot(grid[row, 0])
            _draw_components(axes, night, modality, hours[-1] + 5 / 3600)
            if row == len(modalities) + top - 1:
                axes.set_xlabel("hours from the start of the recording")
            else:
                axes.tick_params(labelbottom=False)
        _draw_map(figure.add_subplot(grid[:, 1]), night, stages)
        figure.suptitle(f"{night.name}: 5-second embeddings, principal components by modality")
    return figure


def _draw_hypnogram(axes: Axes, hours: np.ndarray, stages: np.ndarray) -> None:
    heights = np.array([HEIGHTS[name] for name in STAGES] + [np.nan])[stages]
    axes.step(hours, heights, where="post", color="#333333", linewidth=0.8)
    for number, name in enumerate(STAGES):
        at = stages == number
        axes.plot(hours[at], heights[at], "|", color=COLOURS[name], markersize=6)
    axes.set(xlim=(0, hours[-1] + 5 / 3600), ylim=(-0.6, 4.6), ylabel="stage")
    axes.set_yticks(list(HEIGHTS.values()), list(HEIGHTS))
    axes.tick_params(labelbottom=False)


def _draw_components(axes: Axes, night: NightEmbeddings, modality: str, end: float) -> None:
    components = principal_components(
        without_positions(night.sequence[modality]), COMPONENTS
    )  # (T, K)
    count = components.shape[1]
    if count:
        axes.imshow(
            components.T,
            aspect="auto",
            interpolation="nearest",
            cmap="RdBu_r",
            vmin=-2.5,
            vmax=2.5,
            extent=(0, end, count + 0.5, 0.5),
        )
    axes.set_ylabel(modality)
    axes.set_yticks(sorted({1, count} - {0}))
    axes.set_title(", ".join(night.labels.get(modality, ())), fontsize=7, loc="left", pad=2)


def _draw_map(axes: Axes, night: NightEmbeddings, stages: np.ndarray) -> None:
    """Every patch by the first two components of all modalities, coloured by stage or else time."""
    together = np.concatenate(list(night.sequence.values()), axis=1)  # (T, modalities · E)
    components = principal_components(without_positions(together), 2)
    components = np.pad(components, ((0, 0), (0, 2 - components.shape[1])))
    if (stages == UNSCORED).all():
        hours = night.sequence_times / 3600
        points = axes.scatter(components[:, 0], components[:, 1], s=5, c=hours, alpha=0.7)
        axes.figure.colorbar(points, ax=axes, label="hours")
    else:
        _scatter_stages(axes, components, stages)
    axes.set(xlabel="first component", ylabel="second component", title="one point a patch")


def _scatter_stages(axes: Axes, components: np.ndarray, stages: np.ndarray) -> None:
    for number, name in [*enumerate(STAGES), (UNSCORED, "unscored")]:
        at = stages == number
        if at.any():
            axes.scatter(
                components[at, 0],
                components[at, 1],
                s=5,
                color=COLOURS[name],
                label=name,
                alpha=0.7,
            )
    axes.legend(markerscale=3, frameon=False, loc="best")
