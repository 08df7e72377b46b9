"""Batches of labelled nights, the same for any number of processes, all padded to one length.

An epoch is as many whole batches as the nights allow; no night is in one epoch twice.
"""

import sys
import zlib
from collections.abc import Callable

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.annotations import UNSCORED
from sleepfm_jax.input_pipeline.batch_streams import Batch, Endless, Fixed, rows_of
from sleepfm_jax.input_pipeline.labelled_nights import LabelledNights
from sleepfm_jax.input_pipeline.order import Order
from sleepfm_jax.input_pipeline.outcomes import UNKNOWN
from sleepfm_jax.input_pipeline.windows import PATCHES

MAX_STEPS = 8196  # of the published heads: 11.4 h


def training(
    nights: LabelledNights,
    batch_size: int,
    seed: int = 0,
    process: int = 0,
    processes: int = 1,
    *,
    crop: int = 0,
    max_steps: int = MAX_STEPS,
) -> Endless:
    """Batches of shuffled nights, without end.

    >>> batches = training(nights, 16)  # doctest: +SKIP
    >>> next(batches)["embeddings"].shape  # doctest: +SKIP
    (16, 4, 6480, 128)

    Args:
        nights: of the training split.
        batch_size: rows of a batch over all processes.
        seed: of the order, and of the runs.
        process: this one, from 0.
        processes: that each take their contiguous b = batch_size / processes rows of a batch.
        crop: take a random run of so many 5-s steps of each longer night; 0: whole nights. Of
            signals, runs are made of whole windows of 60 steps.
        max_steps: the longest night, or crop, that the model takes.

    Returns:
        An iterator with `get_state`, `set_state`, `close` and `batches_per_epoch`. Of embeddings
        its batches hold `embeddings` (b, M, T, E) float32, zeros where a night has ended or lacks
        a modality, `present` (b, M) bool and `steps` (b,) int32, the real ones; of signals
        `signals` (b, slots, T·640) float16, `modality` (b, slots) int8, −1 in empty slots, and
        `patches` (b,) int32. With stages they hold `stages` (b, T) int8, −1 where unscored or
        beyond the end; with outcomes `time` (b, L) float32, `event` (b, L) bool and perhaps
        `demographics` (b, 2) float32. All hold `night` (b,) int32, number of the night, and
        `subject` (b,) int32, row in the cohort. T is the same in all batches: the longest night,
        or crop, rounded up to 60 steps.

    Raises:
        InputError: the batch does not divide by the processes, there are fewer nights than rows, or
            a night is too long; from `next`: a file is damaged.
    """
    rows = rows_of(batch_size, process, processes)
    if len(nights) < batch_size:
        raise InputError(
            f"a batch of {batch_size} needs as many nights, but there are {len(nights)}: take a "
            "smaller batch, or more nights"
        )
    order = Order(np.arange(len(nights)), batch_size, seed)
    parts = _Parts(nights, order.batch, rows, _length(nights, crop, max_steps), seed, crop)
    return Endless(
        parts,
        order.batches,
        {
            "batch_size": batch_size,
            "seed": seed,
            "crop": crop,
            "nights": len(nights),
            "data": _fingerprint(nights),
        },
    )


def held_out(
    nights: LabelledNights,
    batch_size: int,
    process: int = 0,
    processes: int = 1,
    *,
    crop: int = 0,
    max_steps: int = MAX_STEPS,
) -> Fixed:
    """Batches of all nights in their order, for validation.

    Args:
        nights: of a held-out split.
        batch_size: rows of a batch over all processes.
        process: this one, from 0.
        processes: that each take their rows.
        crop: take the middle of each longer night, so many steps; 0: whole nights.
        max_steps: the longest night, or crop, that the model takes.

    Returns:
        An iterable of batches as of `training`, with a length. The last one is filled up with empty
        rows: steps or patches 0, modality and stages −1, time −1, night and subject −1.

    Raises:
        InputError: the batch does not divide by the processes, or a night is too long; from the
            iteration: a file is damaged.
    """
    rows = rows_of(batch_size, process, processes)
    batches = -(-len(nights) // batch_size)
    filled = np.full((batches, batch_size), -1)
    filled.flat[: len(nights)] = np.arange(len(nights))
    T = _length(nights, crop, max_steps)
    return Fixed(_Parts(nights, filled.__getitem__, rows, T, None, crop), batches)


class _Parts:
    """This process's rows of every batch, by the batch's number; what grain reads from."""

    def __init__(
        self,
        nights: LabelledNights,
        batch: Callable[[int], np.ndarray],
        rows: slice,
        T: int,
        seed: int | None,
        crop: int,
    ) -> None:
        """Takes all that decides of a batch; without a seed, runs are from the middle."""
        self._nights = nights
        self._batch = batch
        self._rows = rows
        self._T = T
        self._seed = seed
        self._crop = crop

    def __len__(self) -> int:
        return sys.maxsize  # the sequence has no end

    def __getitem__(self, index: int) -> Batch:
        nights = self._batch(index)  # (B,)
        places = range(index * len(nights), (index + 1) * len(nights))[self._rows]
        nights = nights[self._rows]  # (b,)
        batch = _empty(self._nights, len(nights), self._T)
        for row, (night, place) in enumerate(zip(nights, places, strict=True)):
            if night >= 0:
                self._fill(batch, row, int(night), place)
        return batch

    def _fill(self, batch: Batch, row: int, night: int, place: int) -> None:
        labelled = self._nights
        rng = np.random.Generator(np.random.Philox(key=[self._seed or 0, place]))
        run = self._run(int(labelled.steps[night]), None if self._seed is None else rng)
        labelled.nights.fill(batch, row, int(labelled.chosen[night]), run, rng)
        subject = labelled.subject_of[night]
        batch["night"][row], batch["subject"][row] = night, subject
        if labelled.stages is not None:
            stages = labelled.stages[night][run]
            batch["stages"][row, : len(stages)] = stages
        if labelled.outcomes is not None:
            batch["time"][row] = labelled.outcomes.time[subject]
            batch["event"][row] = labelled.outcomes.event[subject]
        if labelled.demographics is not None:
            batch["demographics"][row] = labelled.demographics[subject]

    def _run(self, steps: int, rng: np.random.Generator | None) -> slice:
        """Of a night; random, or its middle. It begins where a window may."""
        if not self._crop or steps <= self._crop:
            return slice(0, steps)
        unit = self._nights.nights.unit
        last = -(-(steps - self._crop) // unit)  # from which the night's end is reached
        start = unit * int(rng.integers(last + 1) if rng else last // 2)
        return slice(start, min(start + self._crop, steps))


def _empty(nights: LabelledNights, b: int, T: int) -> Batch:
    batch = nights.nights.rows(b, T)
    batch["night"] = np.full(b, -1, np.int32)
    batch["subject"] = np.full(b, -1, np.int32)
    if nights.stages is not None:
        batch["stages"] = np.full((b, T), UNSCORED, np.int8)
    if nights.outcomes is not None:
        L = len(nights.outcomes.labels)
        batch["time"] = np.full((b, L), UNKNOWN, np.float32)
        batch["event"] = np.zeros((b, L), bool)
    if nights.demographics is not None:
        batch["demographics"] = np.zeros((b, nights.demographics.shape[1]), np.float32)
    return batch


def _length(nights: LabelledNights, crop: int, max_steps: int) -> int:
    """T: the longest night, or crop, rounded up to whole windows where the model takes that."""
    unit = nights.nights.unit
    if crop < 0 or crop % unit:
        raise InputError(f"crop is {crop} steps: give 0, or a multiple of {unit}")
    longest = int(nights.steps.max())
    T = -(-(min(longest, crop) if crop else longest) // PATCHES) * PATCHES
    if max_steps < T:
        name = f"crop is {crop}" if crop else f"{nights.names[nights.steps.argmax()]} is {longest}"
        raise InputError(
            f"{name} steps of 5 s, in whole windows more than the {max_steps} that the model "
            f"takes: set crop to {max_steps // PATCHES * PATCHES} or less, or leave the night out"
        )
    return T


def _fingerprint(nights: LabelledNights) -> int:
    """Of what decides, beside the settings, which night and which run stand where."""
    names = zlib.crc32("\n".join(nights.names).encode())
    return zlib.crc32(nights.steps.astype(np.int32).tobytes(), names)
