"""Does a window's modality find the same window in the others? Retrieval and collapse, in NumPy.

Every candidate that is as near as the right one counts before it, so that a model that gives the
same embedding to all windows finds nothing.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

BLOCK = 1024  # queries at a time; at 20 000 candidates their similarities take 80 MB
TIE = 1e-6  # cosines closer than this are equal: float32 does not tell them apart


@dataclasses.dataclass(frozen=True)
class Score:
    """How one kind of query finds its partner.

    Attributes:
        top1: share of queries whose partner comes first.
        top5: share of queries whose partner is among the first five.
        median_rank: of the partner, 1 the best.
        candidates: N, how many windows it was sought among (as many as there are queries).
    """

    top1: float
    top5: float
    median_rank: float
    candidates: int


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
            `top1`, `top5`, `median_rank`, `candidates` (of the modality that has fewest, so chance
            is no higher than 1 over it) and `top1/BAS-others`, `top1/BAS-EKG` and so on. What has
            no candidates is left out.
        """
        scores = [score for score in self.leave_one_out if score.candidates]
        if not scores:
            return {}
        found: dict[str, float] = {
            "top1": float(np.mean([score.top1 for score in scores])),
            "top5": float(np.mean([score.top5 for score in scores])),
            "median_rank": float(np.mean([score.median_rank for score in scores])),
            "candidates": min(score.candidates for score in scores),
        }
        for name, score in self._named(names):
            for field, value in dataclasses.asdict(score).items():
                found[f"{field}/{name}"] = value
        return found

    def _named(self, names: Sequence[str]) -> Iterator[tuple[str, Score]]:
        for name, score in zip(names, self.leave_one_out, strict=True):
            if score.candidates:
                yield f"{name}-others", score
        for (i, j), score in self.pairs.items():
            if score.candidates:
                yield f"{names[i]}-{names[j]}", score


def retrieval(embeddings: np.ndarray, present: np.ndarray) -> Retrieval:
    """Ranks every window's partner among all windows that have both sides.

    Args:
        embeddings: (N, M, E); normalised here. What absent modalities hold does not matter.
        present: (N, M), True for the modalities that a window has.
    """
    unit = normalise(embeddings, present)  # (N, M, E)
    present = np.asarray(present, bool)
    M = present.shape[1]
    others = present.sum(axis=1, keepdims=True) - present  # (N, M)
    everything = unit.sum(axis=1)  # (N, E)
    alone = []
    for m in range(M):
        rows = present[:, m] & (others[:, m] > 0)
        rest = (everything[rows] - unit[rows, m]) / others[rows, m, None]  # (n, E)
        alone.append(score(unit[rows, m], rest))
    pairs = {}
    for i in range(M):
        for j in range(M):
            rows = present[:, i] & present[:, j]
            if i != j:
                pairs[i, j] = score(unit[rows, i], unit[rows, j])
    return Retrieval(tuple(alone), pairs)


def score(queries: np.ndarray, keys: np.ndarray) -> Score:
    """Seeks every query's key among all keys.

    Args:
        queries: (N, E).
        keys: (N, E); a query's own is in the same row.
    """
    found = ranks(queries, keys)
    if not len(found):
        return Score(np.nan, np.nan, np.nan, 0)
    return Score(
        float(np.mean(found <= 1)), float(np.mean(found <= 5)), float(np.median(found)), len(found)
    )


def ranks(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(N,) rank of every query's own key, 1 + the number of other keys that are as near.

    Args:
        queries: (N, E).
        keys: (N, E); a query's own is in the same row. A row that is no number is found last.
    """
    N = len(queries)
    found = np.empty(N, np.int64)
    for start in range(0, N, BLOCK):
        block = slice(start, min(start + BLOCK, N))
        similarity = queries[block] @ keys.T  # (block, N)
        own = similarity[np.arange(len(similarity)), np.arange(block.start, block.stop)]
        further = similarity < own[:, None] - TIE  # False where one of them is no number
        found[block] = N - further.sum(axis=1)
    return found


def spread(embeddings: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(M,) how far the embeddings of each modality point apart: 1 − |mean of unit vectors|².

    0: all windows have the same embedding, the model has collapsed. 1: they cancel out, as vectors
    spread over all directions do. NaN: no window has the modality.

    Args:
        embeddings: (N, M, E).
        present: (N, M).
    """
    unit = normalise(embeddings, present).astype(np.float64)  # (N, M, E)
    count = np.asarray(present, bool).sum(axis=0)  # (M,)
    mean = unit.sum(axis=0) / np.maximum(count, 1)[:, None]  # (M, E)
    return np.where(count > 0, 1 - (mean**2).sum(axis=-1), np.nan)


def normalise(embeddings: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(N, M, E) unit vectors; zeros where a modality is absent or its embedding is zero."""
    embeddings = np.asarray(embeddings)
    if not np.issubdtype(embeddings.dtype, np.floating) or embeddings.dtype.itemsize < 4:
        embeddings = embeddings.astype(np.float32)
    held = np.where(np.asarray(present, bool)[..., None], embeddings, 0)
    norm = np.linalg.norm(held, axis=-1, keepdims=True)  # (N, M, 1)
    return held / np.where(norm == 0, 1, norm)
