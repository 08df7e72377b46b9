"""One process's part of each batch: samples read by threads, each into its row of one array.

What a row holds is said by a form: `WindowRows` here, `clip_batches.ClipRows`.
"""

import logging
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, SupportsIndex, TypeAlias

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.augment import NOTHING, Augmentation, amplify, choose
from sleepfm_jax.input_pipeline.windows import EMPTY, SAMPLES, Window

LOG = logging.getLogger(__name__)
Batch: TypeAlias = dict[str, np.ndarray]


class Numbering(Protocol):
    """Says which samples a batch is made of."""

    def batch(self, index: int) -> np.ndarray:
        """(B,) samples of batch `index`; -1: an empty row."""
        ...


class Source(Protocol):
    """Samples of nights by number: windows or clips."""

    @property
    def nights(self) -> Sequence[str]:
        """Names."""

    @property
    def night_of(self) -> np.ndarray:
        """(N,) int32, index into `nights` of each sample."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: SupportsIndex) -> Any: ...


class Form(Protocol):
    """What the rows of a batch hold."""

    def empty(self, rows: int) -> Batch:
        """Arrays for so many rows; large ones hold anything until `put` has filled each row."""

    def put(self, batch: Batch, row: int, sample: Any | None, place: int) -> None:
        """Fills a row.

        Args:
            batch: of `empty`.
            row: of it.
            sample: of the source; None: the row is left empty.
            place: of the row in the whole sequence of batches, which decides its randomness.
        """


class WindowRows:
    """Windows: signals (b, slots, 38400) float16, modality (b, slots) int8, patches (b,) int32."""

    def __init__(self, slots: int, seed: int = 0, augmentation: Augmentation = NOTHING) -> None:
        """Takes all that decides of a row.

        Args:
            slots: channels of a row.
            seed: of the rows' random numbers.
            augmentation: what training changes about windows.
        """
        self._slots = slots
        self._seed = seed
        self._augmentation = augmentation

    def empty(self, rows: int) -> Batch:
        """Arrays for so many rows."""
        return {
            "signals": np.empty((rows, self._slots, SAMPLES), np.float16),
            "modality": np.full((rows, self._slots), EMPTY, np.int8),
            "patches": np.zeros(rows, np.int32),
        }

    def put(self, batch: Batch, row: int, sample: Window | None, place: int) -> None:
        """Fills a row with some channels of a window, zeros behind them."""
        signals, channels = batch["signals"][row], 0
        if sample is not None:
            channels = self._fill_slots(sample, place, signals, batch["modality"][row])
            batch["patches"][row] = sample.patches
        signals[channels:] = 0

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


class Parts:
    """This process's rows of every batch, by the batch's number; what grain reads from."""

    def __init__(
        self,
        source: Source,
        order: Numbering,
        rows: slice,
        form: Form,
        *,
        skip_damaged: bool = False,
        threads: int = 1,
    ) -> None:
        """Takes all that decides of a batch.

        Args:
            source: of samples.
            order: in which they come.
            rows: of a batch that are this process's.
            form: what a row holds.
            skip_damaged: leave rows of damaged samples empty, as long as one is not.
            threads: that read samples.
        """
        self._source = source
        self._order = order
        self._rows = rows
        self._form = form
        self._skip_damaged = skip_damaged
        self._threads = threads
        self._start()

    def _start(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sys.maxsize  # the sequence has no end

    def __getitem__(self, index: int) -> Batch:
        samples = self._order.batch(index)  # (B,)
        first = index * len(samples)
        places = range(first, first + len(samples))[self._rows]
        samples = samples[self._rows]  # (b,)
        b = len(samples)
        batch = {**self._form.empty(b), "night": np.full(b, -1, np.int32)}

        def fill(row: int) -> InputError | None:
            return self._fill(batch, row, int(samples[row]), places[row])

        damage = [error for error in self._readers().map(fill, range(b)) if error]
        if damage and (not self._skip_damaged or len(damage) == b):
            raise damage[0]
        for error in damage:
            LOG.warning("%s; its row stays empty", error)
        return batch

    def _readers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, "samples")
            return self._pool

    def _fill(self, batch: Batch, row: int, sample: int, place: int) -> InputError | None:
        """Fills one row; of a damaged sample, which leaves it empty, returns what is wrong."""
        read, damage = None, None
        if sample >= 0:
            try:
                read = self._source[sample]
                batch["night"][row] = self._source.night_of[sample]
            except InputError as error:
                damage = error
        self._form.put(batch, row, read, place)
        return damage

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_pool", "_lock")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._start()
