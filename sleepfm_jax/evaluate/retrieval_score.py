"""What ranks of partners say: top-1, top-5, top-10, median rank; chance and intervals of each."""

import dataclasses

import numpy as np

from sleepfm_jax.evaluate import bootstrap

TOPS = (1, 5, 10)
RESAMPLES = 64  # at a time


@dataclasses.dataclass(frozen=True)
class Score:
    """How one kind of query finds its partner; NaN where there are no queries.

    Attributes:
        top1: share of queries whose partner comes first.
        top5: share of queries whose partner is among the first five.
        top10: share of queries whose partner is among the first ten.
        median_rank: of the partner, 1 the best.
        candidates: how many windows it was sought among; the fewest, where groups differ in size.
        queries: how many there were.
        left_out: windows that have both sides but came into no group of candidates.
        chance: of guessing, `top1`, `top5`, `top10` and `median_rank` by name.
        ranks: (queries,) int32, of each partner.
        rows: (queries,) int64, the number of each query's window.
    """

    top1: float
    top5: float
    top10: float
    median_rank: float
    candidates: int
    queries: int
    left_out: int
    chance: dict[str, float] = dataclasses.field(repr=False)
    ranks: np.ndarray = dataclasses.field(repr=False, compare=False)
    rows: np.ndarray = dataclasses.field(repr=False, compare=False)

    def numbers(self) -> dict[str, float]:
        """What is logged of it: the four numbers and how many candidates there were."""
        names = (*(f"top{k}" for k in TOPS), "median_rank", "candidates")
        return {name: getattr(self, name) for name in names}


def score(ranks: np.ndarray, sizes: np.ndarray, rows: np.ndarray, left_out: int = 0) -> Score:
    """Sums up ranks.

    Args:
        ranks: (n,) of partners, 1 the best.
        sizes: (n,) how many candidates each of them was sought among.
        rows: (n,) number of each query's window.
        left_out: windows that have both sides but came into no group.
    """
    found = bool(len(ranks))
    tops = {f"top{k}": float(np.mean(ranks <= k)) if found else np.nan for k in TOPS}
    return Score(
        **tops,
        median_rank=float(np.median(ranks)) if found else np.nan,
        candidates=int(sizes.min()) if found else 0,
        queries=len(ranks),
        left_out=left_out,
        chance=chance(sizes),
        ranks=ranks,
        rows=rows,
    )


def chance(sizes: np.ndarray) -> dict[str, float]:
    """What guessing gives, by name, when every rank of a query is equally likely.

    Args:
        sizes: (n,) how many candidates each query has.
    """
    if not len(sizes):
        return dict.fromkeys((*(f"top{k}" for k in TOPS), "median_rank"), np.nan)
    size, queries = np.unique(sizes, return_counts=True)
    upto = np.zeros(size[-1] + 1)  # chance of each rank or a better one
    for one, weight in zip(size, queries / len(sizes), strict=True):
        upto += weight * np.minimum(np.arange(len(upto)) / one, 1)
    tops = {f"top{k}": float(upto[min(k, len(upto) - 1)]) for k in TOPS}
    halves = np.searchsorted(upto, [0.5 - 1e-9, 0.5 + 1e-9])  # as the median of an even number
    return {**tops, "median_rank": float(halves.mean())}


def intervals(
    found: Score, subject: np.ndarray, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile intervals from resampling subjects, with all their windows; ranks stay.

    Args:
        found: a score.
        subject: (N,) whose window each is, of all the windows that were searched.
        resamples: R.
        seed: of the draws.
        level: of the intervals.

    Returns:
        Lower and upper limit of `top1`, `top5`, `top10` and `median_rank`; NaN with fewer than two
        subjects or resamples.
    """
    own = np.asarray(subject)[found.rows]  # (n,)
    names, own = np.unique(own, return_inverse=True)
    counts = bootstrap.multiplicities(len(names), resamples, seed)[:, 1:]  # (S, R)
    if len(names) < 2 or not resamples:
        return dict.fromkeys(found.chance, (np.nan, np.nan))
    windows = np.bincount(own) @ counts  # (R,)
    samples = {f"top{k}": np.bincount(own, found.ranks <= k) @ counts / windows for k in TOPS}
    samples["median_rank"] = _medians(found.ranks, own, counts)
    limits = {name: bootstrap.interval(sample, level) for name, sample in samples.items()}
    return {name: (float(low), float(high)) for name, (low, high) in limits.items()}


def _medians(ranks: np.ndarray, own: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R,) median rank in each resample."""
    order = np.argsort(ranks, kind="stable")
    ranks, own = ranks[order], own[order]
    medians = []
    for start in range(0, counts.shape[1], RESAMPLES):
        drawn = np.ascontiguousarray(counts[:, start : start + RESAMPLES].T)  # (r, S)
        upto = np.cumsum(drawn[:, own], axis=1, dtype=np.float64)  # (r, n)
        for row in upto:
            middle = np.searchsorted(row, [(row[-1] - 1) // 2, row[-1] // 2], side="right")
            medians.append(ranks[middle].mean())
    return np.array(medians)
