"""One process's part of each batch: windows read by threads, each into its row of one array."""

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeAlias

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.augment import NOTHING, Augmentation, amplify, choose
from sleepfm_jax.input_pipeline.windows import EMPTY, SAMPLES, Source, Window

LOG = logging.getLogger(__name__)
Batch: TypeAlias = dict[str, np.ndarray]


class Numbering(Protocol):
    """Says which windows a batch is made of."""

    def batch(self, index: int) -> np.ndarray:
        """(B,) windows of batch `index`; -1: an empty row."""
        ...


class Parts:
    """This process's rows of every batch, by the batch's number; what grain reads from."""

    def __init__(
        self,
        source: Source,
        order: Numbering,
        rows: slice,
        *,
        slots: int,
        seed: int = 0,
        augmentation: Augmentation = NOTHING,
        skip_damaged: bool = False,
        threads: int = 1,
    ) -> None:
        """Takes all that decides of a batch.

        Args:
            source: of windows.
            order: in which they come.
            rows: of a batch that are this process's.
            slots: channels of a row.
            seed: of the records' random numbers.
            augmentation: what training changes about windows.
            skip_damaged: leave rows of damaged windows empty, as long as one is not.
            threads: that read windows.
        """
        self._source = source
        self._order = order
        self._rows = rows
        self._slots = slots
        self._seed = seed
        self._augmentation = augmentation
        self._skip_damaged = skip_damaged
        self._threads = threads
        self._start()

    def _start(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sys.maxsize  # the sequence has no end

    def __getitem__(self, index: int) -> Batch:
        windows = self._order.batch(index)  # (B,)
        first = index * len(windows)
        places = range(first, first + len(windows))[self._rows]
        windows = windows[self._rows]  # (b,)
        b = len(windows)
        batch: Batch = {
            "signals": np.empty((b, self._slots, SAMPLES), np.float16),
            "modality": np.full((b, self._slots), EMPTY, np.int8),
            "patches": np.zeros(b, np.int32),
            "night": np.full(b, -1, np.int32),
        }

        def fill(row: int) -> InputError | None:
            return self._fill(batch, row, int(windows[row]), places[row])

        damage = [error for error in self._readers().map(fill, range(b)) if error]
        if damage and (not self._skip_damaged or len(damage) == b):
            raise damage[0]
        for error in damage:
            LOG.warning("%s; its row stays empty", error)
        return batch

    def _readers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, "windows")
            return self._pool

    def _fill(self, batch: Batch, row: int, window: int, place: int) -> InputError | None:
        """Fills one row; of a damaged window, which leaves it empty, returns what is wrong."""
        signals, modality = batch["signals"][row], batch["modality"][row]
        channels, damage = 0, None
        if window >= 0:
            try:
                read = self._source[window]
            except InputError as error:
                damage = error
            else:
                channels = self._fill_slots(read, place, signals, modality)
                batch["patches"][row] = read.patches
                batch["night"][row] = self._source.night_of[window]
        signals[channels:] = 0
        return damage

    def _fill_slots(
        self, read: Window, place: int, signals: np.ndarray, modality: np.ndarray
    ) -> int:
        """Puts a window's channels into the slots of its row; returns how many."""
        rng = np.random.Generator(np.random.Philox(key=[self._seed, place]))
        chosen = choose(read.modality, self._slots, rng)
        chosen = chosen[self._augmentation.kept(read.modality[chosen], rng)]
        C = len(chosen)
        modality[:C] = read.modality[chosen]
        # "clip" lets NumPy write to `out` without a copy in between
        np.take(read.signals, chosen, axis=0, out=signals[:C], mode="clip")  # (C, 38400)
        gains = self._augmentation.gains(C, rng)
        if gains is not None:
            for channel, gain in zip(signals, gains, strict=False):
                amplify(channel, gain)
        return C

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_pool", "_lock")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._start()
