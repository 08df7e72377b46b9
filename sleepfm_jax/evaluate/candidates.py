"""Among which clips a clip is sought: all there are, N drawn at random, or those of its night."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Groups of clips that are told apart from one another.

    Attributes:
        count: N of a group, drawn at random; None: all there are. What is left over when groups
            of N are full is left out, and so is a night with fewer than N, or with one clip.
        nights: (N,) number of each clip's night, in whose clips alone it is sought; None: groups go
            across nights.
        seed: of the draws; equal seeds give equal groups.
    """

    count: int | None = None
    nights: np.ndarray | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 2:
            raise ValueError(f"{self.count} candidates: a clip is sought among 2 or more")

    def groups(self, rows: np.ndarray) -> np.ndarray:
        """Draws the groups of some clips.

        Args:
            rows: (n,) numbers of clips, as those that have both modalities.

        Returns:
            (n,) int32, the group of each clip, from 0; −1: left out.

        Raises:
            ValueError: there is no night for one of them.
        """
        nights = np.zeros(len(rows), int) if self.nights is None else self._nights(rows)
        order = np.random.default_rng(self.seed).permutation(len(rows))
        order = order[np.argsort(nights[order], kind="stable")]  # night by night, drawn within
        _, first, sizes = np.unique(nights[order], return_index=True, return_counts=True)
        place = np.arange(len(rows)) - np.repeat(first, sizes)
        count = np.maximum(self.count or sizes, 2)
        full = sizes // count  # groups of each night
        number = place // np.repeat(np.broadcast_to(count, sizes.shape), sizes)
        start = np.concatenate([[0], np.cumsum(full)[:-1]]) if len(full) else full
        groups = np.empty(len(rows), np.int32)
        groups[order] = np.where(
            number < np.repeat(full, sizes), number + np.repeat(start, sizes), -1
        )
        return groups

    def _nights(self, rows: np.ndarray) -> np.ndarray:
        nights = np.asarray(self.nights)
        if len(rows) and rows.max() >= len(nights):
            raise ValueError(f"{len(nights)} nights are given for {rows.max() + 1} clips and more")
        return nights[rows]
