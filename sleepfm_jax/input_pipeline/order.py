"""The endless order in which windows enter batches, from a seed alone and without reading any.

An epoch is as many whole batches as the windows allow; no window is in one epoch twice.
"""

import threading
from collections import OrderedDict

import numpy as np

from sleepfm_jax.errors import InputError

MIXED, GROUPED, APART = "mixed", "grouped", "apart"
KEPT_EPOCHS = 2  # readers run ahead into the next epoch


class Order:
    """Which window stands at each place of an endless sequence of batches.

    Of N windows and batches of B rows, an epoch leaves out N mod B windows, others every time:

    - mixed: windows are shuffled.
    - grouped: a batch is made of blocks of `run` windows of one night, drawn from all over it.
      What is left of nights whose windows do not fill blocks is joined to blocks of a few nights.
    - apart: no two windows of a batch are of one night. Where a night has more windows than the
      epoch has batches, an epoch takes as many of them, and is the shorter.

    Attributes:
        batch_size: B.
        batches: of an epoch.
    """

    def __init__(
        self, night_of: np.ndarray, batch_size: int, seed: int, nights: str = MIXED, run: int = 4
    ) -> None:
        """Takes what is known of windows without reading them.

        Args:
            night_of: (N,) which night each window is of, from 0.
            batch_size: rows of a batch.
            seed: of all epochs.
            nights: "mixed", "grouped" or "apart".
            run: windows of a block, for "grouped"; divides the batch size.

        Raises:
            InputError: there are fewer windows, or for "apart" fewer nights, than rows.
        """
        self._night_of = np.ascontiguousarray(night_of, np.int32)
        self.batch_size = batch_size
        self._seed = seed
        self._nights = nights
        self._run = run
        self._counts = np.bincount(self._night_of)
        self._refuse_too_few()
        self.batches = (
            _batches_apart(self._counts, batch_size)
            if nights == APART
            else len(self._night_of) // batch_size
        )
        self._epochs: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def batch(self, index: int) -> np.ndarray:
        """(B,) int32, windows of batch `index` ≥ 0 of the endless sequence."""
        epoch, batch = divmod(index, self.batches)
        return self.epoch(epoch)[batch]

    def epoch(self, epoch: int) -> np.ndarray:
        """(batches, B) int32, windows of a whole epoch; the last two stay in memory."""
        with self._lock:
            if epoch not in self._epochs:
                self._epochs[epoch] = self._draw(np.random.default_rng([self._seed, epoch]))
                while len(self._epochs) > KEPT_EPOCHS:
                    self._epochs.popitem(last=False)
            self._epochs.move_to_end(epoch)
            return self._epochs[epoch]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_epochs": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def _refuse_too_few(self) -> None:
        windows, nights = len(self._night_of), np.count_nonzero(self._counts)
        if windows < self.batch_size:
            raise InputError(
                f"a batch of {self.batch_size} needs as many windows, but there are {windows}: "
                "take a smaller batch, or pack more nights"
            )
        if self._nights == APART and nights < self.batch_size:
            raise InputError(
                f"a batch of {self.batch_size} windows of different nights needs as many nights, "
                f"but there are {nights}: take a smaller batch, or let nights be mixed"
            )

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        if self._nights == GROUPED:
            return self._grouped(rng)
        if self._nights == APART:
            return self._apart(rng)
        return self._whole_batches(rng.permutation(_numbers(len(self._night_of))))

    def _whole_batches(self, windows: np.ndarray) -> np.ndarray:
        return windows.reshape(-1)[: self.batches * self.batch_size].reshape(
            self.batches, self.batch_size
        )

    def _by_night(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nights one after another in random order, each one's windows shuffled.

        Returns:
            (N,) windows, (N,) each one's place in its night, (N,) the windows of its night.
        """
        rank = rng.permutation(_numbers(len(self._counts)))
        windows = rng.permutation(_numbers(len(self._night_of)))
        windows = windows[np.argsort(rank[self._night_of[windows]], kind="stable")]
        counts = np.zeros_like(self._counts)
        counts[rank] = self._counts
        starts = np.cumsum(counts) - counts
        place = np.arange(len(windows)) - np.repeat(starts, counts)
        return windows, place, np.repeat(counts, counts)

    def _grouped(self, rng: np.random.Generator) -> np.ndarray:
        windows, place, of = self._by_night(rng)
        filling = place < of // self._run * self._run
        rest = windows[~filling]
        rest = rest[: len(rest) // self._run * self._run]
        blocks = np.concatenate([windows[filling], rest]).reshape(-1, self._run)
        return self._whole_batches(rng.permutation(blocks))

    def _apart(self, rng: np.random.Generator) -> np.ndarray:
        windows, place, _ = self._by_night(rng)
        taken = windows[place < self.batches][-self.batches * self.batch_size :]
        return _spread(taken, self._night_of, self.batches, rng)


class Sample:
    """A fixed sample of windows, shuffled, in batches; the last is filled up with -1.

    Attributes:
        batches: of the sample.
    """

    def __init__(self, windows: int, size: int, batch_size: int, seed: int) -> None:
        """Draws it.

        Args:
            windows: to draw from.
            size: of the sample; all windows, if there are fewer.
            batch_size: B.
            seed: of the sample.
        """
        drawn = np.random.default_rng(seed).permutation(_numbers(windows))[:size]
        self.batches = -(-len(drawn) // batch_size)
        filled = np.full((self.batches, batch_size), -1, np.int32)
        filled.flat[: len(drawn)] = drawn
        self._windows = filled

    def batch(self, index: int) -> np.ndarray:
        """(B,) int32, windows of batch `index`."""
        return self._windows[index]


def _numbers(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int32)


def _batches_apart(counts: np.ndarray, batch_size: int) -> int:
    """The most batches of windows of different nights: largest K with Σ min(count, K) ≥ K·B."""
    low, high = 1, int(counts.sum()) // batch_size
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(counts, middle).sum() >= middle * batch_size:
            low = middle
        else:
            high = middle - 1
    return low


def _spread(
    windows: np.ndarray, night_of: np.ndarray, batches: int, rng: np.random.Generator
) -> np.ndarray:
    """Deals windows, sorted by night, to batches so that a night meets no batch twice.

    One row of all batches after the other takes the next windows. Only the night that goes on from
    the row before could meet itself: its rest goes to batches that have none of it.
    """
    rows = windows.reshape(-1, batches)  # (B, batches), no night has more than `batches` windows
    dealt = np.empty_like(rows)
    before = None
    for row, out in zip(rows, dealt, strict=True):
        deal = rng.permutation(batches)
        if before is not None:
            night = night_of[row[0]]
            rest = np.count_nonzero(night_of[row] == night)
            free = deal[night_of[before[deal]] != night]
            mine = np.zeros(batches, bool)
            mine[free[:rest]] = True
            deal = np.concatenate([free[:rest], deal[~mine[deal]]])
        out[deal] = row
        before = out
    return np.ascontiguousarray(dealt.T)  # (batches, B)
