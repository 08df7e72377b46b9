"""The picture of retrieval: how often each modality finds each other, as a matrix."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from sleepfm_jax.jobs.retrieve import Direction

SHOWN = {"top1": "partner found first", "top10": "partner among the first ten"}


def draw(modalities: Sequence[str], found: Sequence["Direction"], title: str) -> Figure:
    """Queries by keys, the share of queries that find their partner in colour and in numbers.

    Args:
        modalities: names, M.
        found: every direction.
        title: says among what was sought.
    """
    keys = [*modalities, *dict.fromkeys(one.key for one in found if one.key not in modalities)]
    width, height = 1.25 * len(keys), 1.0 * len(modalities)
    figure = Figure(figsize=(2.2 + 2 * width, 1.5 + height), layout="constrained")
    figure.suptitle(title, fontsize=9)
    cells = {(modalities.index(one.query), keys.index(one.key)): one for one in found}
    for place, (name, heading) in enumerate(SHOWN.items(), start=1):
        axes = figure.add_subplot(1, len(SHOWN), place)
        _matrix(axes, cells, name, (len(modalities), len(keys)))
        axes.set_title(f"{heading} (chance {_chance(cells, name)})", fontsize=9)
        axes.set_xticks(range(len(keys)), keys)
        axes.set_yticks(range(len(modalities)), modalities if place == 1 else [])
        axes.set_xlabel("sought in")
        if place == 1:
            axes.set_ylabel("query")
    return figure


def _matrix(
    axes: Axes,
    cells: Mapping[tuple[int, int], "Direction"],
    name: str,
    shape: tuple[int, int],
) -> None:
    shares = np.full(shape, np.nan)
    for cell, one in cells.items():
        shares[cell] = getattr(one.score, name)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (i, j), one in cells.items():
        share = shares[i, j]
        if not np.isfinite(share):
            axes.text(j, i, "none", ha="center", va="center", fontsize=8, color="#888888")
            continue
        low, high = one.limits[name]
        limits = f"\n{100 * low:.1f} to {100 * high:.1f}" if np.isfinite(low) else ""
        rank = f"\nmedian rank {one.score.median_rank:g}" if name == "top1" else ""
        colour = "white" if share > 0.55 else "#222222"
        text = f"{100 * share:.1f} %{limits}{rank}"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)


def _chance(cells: Mapping[tuple[int, int], "Direction"], name: str) -> str:
    """One number, or the range where directions have different candidates."""
    known = [100 * one.score.chance[name] for one in cells.values() if one.score.queries]
    low, high = f"{min(known):.3g}", f"{max(known):.3g}"
    return f"{low} %" if low == high else f"{low} to {high} %"
