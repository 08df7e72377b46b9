"""Batches of windows for pretraining, the same for any number of processes and workers.

An element of the grain pipeline is one process's part of a batch, filled in place: nothing is
stacked or copied afterwards. The position is a number of batches, saved as JSON with the model.
"""

import os
import zlib

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.batch_streams import Endless, Fixed, State, rows_of
from sleepfm_jax.input_pipeline.batching import Batching, SampleBatching
from sleepfm_jax.input_pipeline.collate import Batch, Form, Parts, Source, WindowRows
from sleepfm_jax.input_pipeline.order import GROUPED, Order, Sample
from sleepfm_jax.input_pipeline.windows import Source as Windows

__all__ = ["Batch", "Batching", "held_out", "pretraining"]

MOST_THREADS = 16


def pretraining(
    source: Windows, batching: Batching, process: int = 0, processes: int = 1
) -> Endless:
    """Batches for pretraining, without end.

    >>> batches = pretraining(windows.open_store(path, "train"), Batching())  # doctest: +SKIP
    >>> next(batches)["signals"].shape  # doctest: +SKIP
    (128, 16, 38400)

    Args:
        source: of windows.
        batching: how they become batches.
        process: this one, from 0.
        processes: that each take their contiguous b = batch_size / processes rows of a batch.

    Returns:
        An iterator with `get_state` and `set_state`. Its batches hold `signals` (b, slots, 38400)
        float16, zeros in empty slots; `modality` (b, slots) int8, -1 in empty slots; `patches` (b,)
        int32, real ones of each window; `night` (b,) int32, index into `source.nights`. They are
        fresh arrays, free to be changed.

    Raises:
        InputError: the batch does not divide by the processes, or there are too few windows or
            nights; from `next`: a window is damaged.
    """
    form = WindowRows(batching.slots, batching.seed, batching.augmentation)
    return endless(source, form, batching, process, processes)


def held_out(
    source: Windows,
    windows: int,
    batch_size: int,
    slots: int = 16,
    seed: int = 0,
    process: int = 0,
    processes: int = 1,
) -> Fixed:
    """Batches for validation: a fixed sample, shuffled, as it is.

    Args:
        source: of windows.
        windows: of the sample; all, if there are fewer.
        batch_size: rows of a batch over all processes.
        slots: channels of a row.
        seed: of the sample, and of the channels where a window has more than slots.
        process: this one, from 0.
        processes: that each take their rows.

    Returns:
        An iterable of batches as of `pretraining`, with a length. The last one is filled up with
        empty rows: modality -1, patches 0, night -1.

    Raises:
        InputError: the batch does not divide by the processes, or a value makes no sense; from the
            iteration: a window is damaged.
    """
    batching = Batching(batch_size=batch_size, slots=slots, seed=seed)
    return fixed(source, WindowRows(slots, seed), windows, batching, process, processes)


def endless(
    source: Source, form: Form, batching: SampleBatching, process: int, processes: int
) -> Endless:
    """Batches of any samples to train on.

    Args:
        source: of samples.
        form: what a row holds.
        batching: how they become batches.
        process: this one, from 0.
        processes: that each take their contiguous rows of a batch.

    Raises:
        InputError: as `pretraining`.
    """
    rows = rows_of(batching.batch_size, process, processes)
    order = Order(
        source.night_of, batching.batch_size, batching.seed, batching.nights, batching.run
    )
    order_of: State = {
        "batch_size": batching.batch_size,
        "seed": batching.seed,
        "nights": batching.nights,
        "windows": len(source),
        "data": _fingerprint(source),
    }
    if batching.nights == GROUPED:
        order_of["run"] = batching.run
    parts = Parts(
        source,
        order,
        rows,
        form,
        skip_damaged=batching.skip_damaged,
        threads=batching.threads or max(_cores() // max(batching.workers, 1), 1),
    )
    return Endless(
        parts, order.batches, order_of, ahead=batching.prefetch, workers=batching.workers
    )


def fixed(
    source: Source,
    form: Form,
    samples: int,
    batching: SampleBatching,
    process: int,
    processes: int,
) -> Fixed:
    """Batches of any samples to validate on: a fixed choice of them, the last batch filled up.

    Args:
        source: of samples.
        form: what a row holds.
        samples: to choose; all, if there are fewer.
        batching: its size and seed count here.
        process: this one, from 0.
        processes: that each take their rows.

    Raises:
        InputError: as `held_out`.
    """
    if samples < 1:
        raise InputError(f"a sample of {samples} windows holds none: give 1 or more")
    rows = rows_of(batching.batch_size, process, processes)
    chosen = Sample(len(source), samples, batching.batch_size, batching.seed)
    return Fixed(Parts(source, chosen, rows, form, threads=_cores()), chosen.batches)


def _fingerprint(source: Source) -> int:
    """Of what decides, beside the settings, which sample stands where."""
    return zlib.crc32(source.night_of.tobytes(), zlib.crc32("\n".join(source.nights).encode()))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_THREADS)
    return min(os.cpu_count() or 1, MOST_THREADS)
