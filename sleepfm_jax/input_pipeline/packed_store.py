"""A packed store, read at random: records of ArrayRecord shards, decoded without TFDS's detours."""

import abc
import bisect
import itertools
import operator
import os
import threading
from pathlib import Path
from typing import Any, ClassVar, Generic, NoReturn, SupportsIndex, TypeVar

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import store_index
from sleepfm_jax.input_pipeline.store_index import Index, NightEntry, Shard
from sleepfm_jax.input_pipeline.store_kinds import Kind

# One record a read: reading ahead, or in more threads, would read what nobody asked for.
OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
BUFFER = 32768  # bytes


Item = TypeVar("Item")


class PackedStore(abc.ABC, Generic[Item]):
    """A source of what was packed of one split; windows and clips say how theirs are decoded.

    Attributes:
        path: the store's folder.
        split: its name.
        nights: names.
        night_of: (N,) int32, index into `nights` of each record.
        index: what the whole store holds.
    """

    kind: ClassVar[Kind]

    def __init__(self, path: str | os.PathLike[str], split: str) -> None:
        self.path = Path(path)
        self.split = split
        self.index: Index = store_index.read(self.path, self.kind)
        if split not in self.index.shards:
            there = ", ".join(self.index.shards)
            raise InputError(f"{path} has no split {split!r}, only {there}: name one of these")
        self._shards: tuple[Shard, ...] = self.index.shards[split]
        self._ends = [*itertools.accumulate(shard.records for shard in self._shards)]
        self._entries: tuple[NightEntry, ...] = self.index.of_split(split)
        self.nights = tuple(night.name for night in self._entries)
        counts = [night.records for night in self._entries]
        self.night_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)  # (N,)
        self._forget()

    def __len__(self) -> int:
        return len(self.night_of)

    def __getitem__(self, index: SupportsIndex) -> Item:
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"{self.kind.one} {index} of {len(self)}")
        number = bisect.bisect_right(self._ends, index)
        shard = self._shards[number]
        night = self._entries[self.night_of[index]]
        try:
            record = self._reader(number).read([index - self._ends[number] + shard.records])[0]
            return self._decode(record, night, index)
        except (RuntimeError, ValueError, LookupError) as error:
            self._refuse(shard, night, error)

    @abc.abstractmethod
    def _decode(self, record: bytes, night: NightEntry, index: int, /) -> Item:
        """What the record of this number holds.

        Raises:
            ValueError, LookupError: the record is not what it should be.
        """

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_readers"], state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._readers: dict[int, ArrayRecordReader] = {}
        self._lock = threading.Lock()

    def _reader(self, number: int) -> ArrayRecordReader:
        reader = self._readers.get(number)
        if reader is None:
            with self._lock:
                if number not in self._readers:
                    self._readers[number] = open_shard(self.path, self._shards[number], self.kind)
                reader = self._readers[number]
        return reader

    def _refuse(self, shard: Shard, night: NightEntry, error: Exception) -> NoReturn:
        raise InputError(
            f"{self.path / shard.file} is damaged in night {night.name}: copy it again, or pack "
            f"again ({' '.join(str(error).split())[:100]})"
        ) from error


def open_shard(folder: Path, shard: Shard, kind: Kind) -> ArrayRecordReader:
    """Opens a shard.

    Args:
        folder: of the store.
        shard: what the index says of it.
        kind: what it holds.

    Raises:
        InputError: it cannot be read, or holds another number of records.
    """
    path = folder / shard.file
    try:
        reader = ArrayRecordReader(str(path), OPTIONS, file_reader_buffer_size=BUFFER)
        found = reader.num_records()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: copy it again, or pack again") from error
    if not reader.ok() or found != shard.records:
        raise InputError(
            f"{path} is damaged: {found} of {shard.records} {kind.many} are found: copy it again, "
            "or pack again"
        )
    return reader
