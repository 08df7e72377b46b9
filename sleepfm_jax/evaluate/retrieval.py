"""Does a window's modality find the same window in the others? Retrieval and collapse.

Every candidate that is as near as the right one counts before it, so that a model that gives the
same embedding to all windows finds nothing.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from sleepfm_jax.evaluate import ranking
from sleepfm_jax.evaluate.candidates import Candidates
from sleepfm_jax.evaluate.retrieval_score import Score, intervals, score

ROWS = 4096  # at a time

__all__ = [
    "Candidates",
    "Retrieval",
    "Score",
    "intervals",
    "normalise",
    "others",
    "pair",
    "retrieval",
    "spread",
]


@dataclasses.dataclass(frozen=True)
class Retrieval:
    """Retrieval between M modalities.

    Attributes:
        leave_one_out: a score a modality, sought in the mean of the others (spec §2).
        pairs: a score an ordered pair (query, key) of modalities.
    """

    leave_one_out: tuple[Score, ...]
    pairs: dict[tuple[int, int], Score]

    def metrics(self, names: Sequence[str]) -> dict[str, float]:
        """Numbers to log: means of leave-one-out over modalities, then every score on its own.

        Args:
            names: of the M modalities.

        Returns:
            `top1`, `top5`, `top10`, `median_rank`, `candidates` (of the modality that has fewest,
            so chance is no higher than 1 over it), `top1/BAS-others`, `top1/BAS-EKG` and so on.
            What has no candidates is left out.
        """
        scores = [alone.numbers() for alone in self.leave_one_out if alone.candidates]
        if not scores:
            return {}
        found = {name: float(np.mean([alone[name] for alone in scores])) for name in scores[0]}
        found["candidates"] = min(alone["candidates"] for alone in scores)
        for name, one in self._named(names):
            for field, value in one.numbers().items():
                found[f"{field}/{name}"] = value
        return found

    def _named(self, names: Sequence[str]) -> Iterator[tuple[str, Score]]:
        for name, alone in zip(names, self.leave_one_out, strict=True):
            if alone.candidates:
                yield f"{name}-others", alone
        for (i, j), one in self.pairs.items():
            if one.candidates:
                yield f"{names[i]}-{names[j]}", one


def retrieval(
    embeddings: np.ndarray, present: np.ndarray, candidates: Candidates | None = None
) -> Retrieval:
    """Ranks every window's partner among the windows that have both sides.

    Both directions of a pair come from one product, in tiles: memory does not grow with N².

    Args:
        embeddings: (N, M, E); normalised here, a few rows at a time. What absent modalities hold
            does not matter.
        present: (N, M), True for the modalities that a window has.
        candidates: among which windows; None: all. They are drawn for each pair of sides among the
            windows that have both, the same in both directions.
    """
    embeddings, M = np.asarray(embeddings), np.shape(present)[1]
    found = {}
    for i, j in itertools.combinations(range(M), 2):
        found[i, j], found[j, i] = pair(embeddings, present, i, j, candidates)
    alone = tuple(others(embeddings, present, m, candidates) for m in range(M))
    return Retrieval(alone, dict(sorted(found.items())))


def pair(
    embeddings: np.ndarray,
    present: np.ndarray,
    i: int,
    j: int,
    candidates: Candidates | None = None,
) -> tuple[Score, Score]:
    """Modality i sought in modality j, and j in i; arguments as of `retrieval`."""
    present = np.asarray(present, bool)
    return _scores(embeddings, present, present[:, i] & present[:, j], [i], [j], candidates)


def others(
    embeddings: np.ndarray, present: np.ndarray, m: int, candidates: Candidates | None = None
) -> Score:
    """Modality m sought in the mean of the others; arguments as of `retrieval`."""
    present = np.asarray(present, bool)
    rest = [k for k in range(present.shape[1]) if k != m]
    rows = present[:, m] & present[:, rest].any(axis=1)
    return _scores(embeddings, present, rows, [m], rest, candidates)[0]


def _scores(
    embeddings: np.ndarray,
    present: np.ndarray,
    rows: np.ndarray,
    queries: list[int],
    keys: list[int],
    candidates: Candidates | None,
) -> tuple[Score, Score]:
    """The mean of some modalities sought in the mean of others, and these in it."""
    windows = np.flatnonzero(rows)
    groups = (candidates or Candidates()).groups(windows)
    order = np.argsort(groups, kind="stable")[np.count_nonzero(groups < 0) :]
    left_out = len(windows) - len(order)
    windows, groups = windows[order], groups[order]
    side = functools.partial(_mean, embeddings, present, windows)
    ranks = ranking.both_ways(
        functools.partial(side, queries), functools.partial(side, keys), groups
    )
    sizes = np.bincount(groups, minlength=1)[groups]
    back = np.argsort(windows)
    forth, reverse = (score(found[back], sizes[back], windows[back], left_out) for found in ranks)
    return forth, reverse


def _mean(
    embeddings: np.ndarray,
    present: np.ndarray,
    windows: np.ndarray,
    modalities: list[int],
    some: slice,
) -> np.ndarray:
    """(n, E) float32 mean of the unit vectors that some of the windows have."""
    place = np.ix_(windows[some], np.array(modalities))
    unit = normalise(embeddings[place], present[place])  # (n, k, E)
    if len(modalities) > 1:
        count = np.maximum(present[place].sum(axis=1), 1)  # (n,)
        unit = unit.sum(axis=1, keepdims=True) / count[:, None, None]
    return unit[:, 0].astype(np.float32, copy=False)


def spread(embeddings: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(M,) how far the embeddings of each modality point apart: 1 − |mean of unit vectors|².

    0: all windows have the same embedding, the model has collapsed. 1: they cancel out, as vectors
    spread over all directions do. NaN: no window has the modality.

    Args:
        embeddings: (N, M, E).
        present: (N, M).
    """
    present = np.asarray(present, bool)
    total = np.zeros(np.shape(embeddings)[1:])  # (M, E)
    for start in range(0, len(present), ROWS):
        rows = slice(start, start + ROWS)
        total += normalise(embeddings[rows], present[rows]).sum(axis=0, dtype=np.float64)
    count = present.sum(axis=0)  # (M,)
    mean = total / np.maximum(count, 1)[:, None]
    return np.where(count > 0, 1 - (mean**2).sum(axis=-1), np.nan)


def normalise(embeddings: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(N, M, E) unit vectors; zeros where a modality is absent or its embedding is zero."""
    embeddings = np.asarray(embeddings)
    if not np.issubdtype(embeddings.dtype, np.floating) or embeddings.dtype.itemsize < 4:
        embeddings = embeddings.astype(np.float32)
    present = np.asarray(present, bool)
    held = embeddings if present.all() else np.where(present[..., None], embeddings, 0)
    norm = np.linalg.norm(held, axis=-1, keepdims=True)  # (N, M, 1)
    return held / np.where(norm == 0, 1, norm)
