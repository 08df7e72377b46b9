"""Batches by number as streams: endless ones that know their place, and ones of fixed length.

Grain reads ahead in threads; the position is a number of batches, kept as JSON.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np

from sleepfm_jax.errors import InputError

Batch: TypeAlias = dict[str, np.ndarray]
State: TypeAlias = dict[str, int | str]

AHEAD = 2  # batches


class Parts(Protocol):
    """One process's rows of every batch, by the batch's number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Batch: ...


class Endless(Iterator[Batch]):
    """This process's rows of an endless sequence of batches.

    Attributes:
        batches_per_epoch: whole batches that the data allow.
    """

    def __init__(
        self,
        parts: Parts,
        batches_per_epoch: int,
        order: Mapping[str, int | str],
        *,
        ahead: int = AHEAD,
        workers: int = 0,
    ) -> None:
        """Takes what makes the batches.

        Args:
            parts: of the batches; as many as are asked for.
            batches_per_epoch: whole batches that the data allow.
            order: JSON values of all that decides what stands where; a state of others is refused.
            ahead: batches made ahead, in each process that makes some.
            workers: processes that make batches; 0: the calling process does, in threads.
        """
        import grain  # imports JAX for its profiler, which what else reads files need not wait for
        from absl import flags

        if workers and not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # grain hands its flags to workers
        self.batches_per_epoch = batches_per_epoch
        self._order = dict(order)
        self._elements: Any = iter(
            grain.experimental.ElasticIterator(
                grain.MapDataset.source(parts),
                global_batch_size=1,
                shard_options=grain.sharding.ShardOptions(0, 1),
                read_options=grain.ReadOptions(min(ahead, AHEAD), ahead),
                multiprocessing_options=grain.MultiprocessingOptions(workers, ahead)
                if workers
                else None,
            )
        )

    def __next__(self) -> Batch:
        """The next batch: views of the one element that grain batched."""
        # plain arrays also where workers share memory
        return {name: np.asarray(values[0]) for name, values in next(self._elements).items()}

    def get_state(self) -> State:
        """The position as JSON values, good for any number of processes and workers."""
        return {"next_batch": self._elements.get_state()["global_next_index"], **self._order}

    def set_state(self, state: State) -> None:
        """Goes on where a state was taken.

        Args:
            state: of `get_state`, from any process of any number of them.

        Raises:
            InputError: it is of another order of the data, or of other data.
        """
        missing = {"next_batch", *self._order} - set(state)
        if missing:
            raise InputError(
                f"the saved position among the batches lacks {', '.join(sorted(missing))}: go on "
                "from another checkpoint"
            )
        for name, value in self._order.items():
            if state[name] != value:
                raise InputError(
                    f"the saved position among the batches is of {name} {state[name]}, not {value}"
                    ": go on with the same data and settings, or start anew"
                )
        self._elements.set_state({"global_next_index": int(state["next_batch"])})

    def close(self) -> None:
        """Ends threads and workers."""
        self._elements.close()


class Fixed:
    """The first batches of a sequence, from the start at every iteration."""

    def __init__(self, parts: Parts, batches: int) -> None:
        """Takes what makes the batches, and their number."""
        self._parts = parts
        self._batches = batches

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        import grain

        elements = grain.MapDataset.source(self._parts)[: self._batches]
        iterator = iter(elements.to_iter_dataset(grain.ReadOptions(1, AHEAD)))
        try:
            yield from iterator
        finally:
            iterator.close()


def rows_of(batch_size: int, process: int, processes: int) -> slice:
    """The contiguous rows of a batch that are a process's.

    Args:
        batch_size: over all processes.
        process: from 0.
        processes: how many.

    Raises:
        InputError: the batch does not divide by the processes.
    """
    if batch_size % processes:
        raise InputError(
            f"a batch of {batch_size} does not divide by {processes} processes: give a multiple"
        )
    share = batch_size // processes
    return slice(process * share, (process + 1) * share)
