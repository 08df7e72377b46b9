"""Batches of windows for pretraining, the same for any number of processes and workers.

An element of the grain pipeline is one process's part of a batch, filled in place: nothing is
stacked or copied afterwards. The position is a number of batches, saved as JSON with the model.
"""

import os
import zlib
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.batching import Batching
from sleepfm_jax.input_pipeline.collate import Batch, Parts
from sleepfm_jax.input_pipeline.order import GROUPED, Order, Sample
from sleepfm_jax.input_pipeline.windows import Source

__all__ = ["Batch", "Batching", "HeldOut", "Pretraining", "held_out", "pretraining"]

State: TypeAlias = dict[str, int | str]

MOST_THREADS = 16


class Pretraining(Iterator[Batch]):
    """This process's rows of an endless sequence of batches; made by `pretraining`.

    Attributes:
        batches_per_epoch: whole batches that the windows allow.
    """

    def __init__(
        self, source: Source, batching: Batching, process: int = 0, processes: int = 1
    ) -> None:
        """See `pretraining`."""
        rows = _rows(batching.batch_size, process, processes)
        order = Order(
            source.night_of, batching.batch_size, batching.seed, batching.nights, batching.run
        )
        self.batches_per_epoch = order.batches
        self._order_of: State = {
            "batch_size": batching.batch_size,
            "seed": batching.seed,
            "nights": batching.nights,
            "windows": len(source),
            "data": _fingerprint(source),
        }
        if batching.nights == GROUPED:
            self._order_of["run"] = batching.run
        threads = batching.threads or max(_cores() // max(batching.workers, 1), 1)
        parts = Parts(
            source,
            order,
            rows,
            slots=batching.slots,
            seed=batching.seed,
            augmentation=batching.augmentation,
            skip_damaged=batching.skip_damaged,
            threads=threads,
        )
        self._elements = _elastic(parts, batching)

    def __next__(self) -> Batch:
        """The next batch: names and shapes are in `pretraining`."""
        return _without_first_axis(next(self._elements))

    def get_state(self) -> State:
        """The position as JSON values, good for any number of processes and workers."""
        return {"next_batch": self._elements.get_state()["global_next_index"], **self._order_of}

    def set_state(self, state: State) -> None:
        """Goes on where a state was taken.

        Args:
            state: of `get_state`, from any process of any number of them.

        Raises:
            InputError: it is of another order of windows.
        """
        missing = {"next_batch", *self._order_of} - set(state)
        if missing:
            raise InputError(
                f"the saved position among the batches lacks {', '.join(sorted(missing))}: go on "
                "from another checkpoint"
            )
        for name, value in self._order_of.items():
            if state[name] != value:
                raise InputError(
                    f"the saved position among the batches is of {name} {state[name]}, not {value}"
                    ": go on with the same data and settings, or start anew"
                )
        self._elements.set_state({"global_next_index": int(state["next_batch"])})

    def close(self) -> None:
        """Ends threads and workers."""
        self._elements.close()


def pretraining(
    source: Source, batching: Batching, process: int = 0, processes: int = 1
) -> Pretraining:
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
    return Pretraining(source, batching, process, processes)


class HeldOut:
    """A fixed sample of windows in batches, from the start at every iteration; see `held_out`."""

    def __init__(self, parts: Parts, batches: int) -> None:
        """Takes what makes the batches, and their number."""
        self._parts = parts
        self._batches = batches

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        import grain

        elements = grain.MapDataset.source(self._parts)[: self._batches]
        iterator = iter(elements.to_iter_dataset(grain.ReadOptions(1, 2)))
        try:
            yield from iterator
        finally:
            iterator.close()


def held_out(
    source: Source,
    windows: int,
    batch_size: int,
    slots: int = 16,
    seed: int = 0,
    process: int = 0,
    processes: int = 1,
) -> HeldOut:
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
    Batching(batch_size=batch_size, slots=slots, seed=seed)
    if windows < 1:
        raise InputError(f"a sample of {windows} windows holds none: give 1 or more")
    rows = _rows(batch_size, process, processes)
    sample = Sample(len(source), windows, batch_size, seed)
    return HeldOut(
        Parts(source, sample, rows, slots=slots, seed=seed, threads=_cores()), sample.batches
    )


def _rows(batch_size: int, process: int, processes: int) -> slice:
    """Of a batch that are this process's."""
    if batch_size % processes:
        raise InputError(
            f"a batch of {batch_size} does not divide by {processes} processes: give a multiple"
        )
    share = batch_size // processes
    return slice(process * share, (process + 1) * share)


def _fingerprint(source: Source) -> int:
    """Of what decides, beside the settings, which window stands where."""
    return zlib.crc32(source.night_of.tobytes(), zlib.crc32("\n".join(source.nights).encode()))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_THREADS)
    return min(os.cpu_count() or 1, MOST_THREADS)


def _elastic(parts: Parts, batching: Batching) -> Any:
    """Grain's iterator over the parts of one process, read ahead."""
    import grain  # imports JAX for its profiler, which what else reads files need not wait for
    from absl import flags

    if batching.workers and not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain hands its flags to workers
    ahead = batching.prefetch
    return iter(
        grain.experimental.ElasticIterator(
            grain.MapDataset.source(parts),
            global_batch_size=1,
            shard_options=grain.sharding.ShardOptions(0, 1),
            read_options=grain.ReadOptions(min(ahead, 2), ahead),
            multiprocessing_options=grain.MultiprocessingOptions(batching.workers, ahead)
            if batching.workers
            else None,
        )
    )


def _without_first_axis(batch: Batch) -> Batch:
    """Views of the one element that grain batched, plain arrays also where workers share memory."""
    return {name: np.asarray(values[0]) for name, values in batch.items()}
