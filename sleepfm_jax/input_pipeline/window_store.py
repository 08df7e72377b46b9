"""Packed windows, read at random: records of ArrayRecord shards, decoded without TFDS's detours."""

import bisect
import itertools
import operator
import os
import threading
from pathlib import Path
from typing import Any, NoReturn, SupportsIndex

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import window_index, window_record
from sleepfm_jax.input_pipeline.window_index import Index, NightEntry, Shard
from sleepfm_jax.input_pipeline.windows import Window

# One record a read: reading ahead, or in more threads, would read what nobody asked for.
OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
BUFFER = 32768  # bytes


class WindowStore:
    """A source of the packed windows of one split.

    Attributes:
        path: the store's folder.
        split: its name.
        nights: names.
        night_of: (N,) int32, index into `nights` of each window.
        index: what the whole store holds.
    """

    def __init__(self, path: str | os.PathLike[str], split: str) -> None:
        self.path = Path(path)
        self.split = split
        self.index: Index = window_index.read(self.path)
        if split not in self.index.shards:
            there = ", ".join(self.index.shards)
            raise InputError(f"{path} has no split {split!r}, only {there}: name one of these")
        self._shards: tuple[Shard, ...] = self.index.shards[split]
        self._ends = [*itertools.accumulate(shard.windows for shard in self._shards)]
        self._entries: tuple[NightEntry, ...] = self.index.of_split(split)
        self.nights = tuple(night.name for night in self._entries)
        counts = [night.windows for night in self._entries]
        self.night_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)  # (N,)
        self._forget()

    def __len__(self) -> int:
        return len(self.night_of)

    def __getitem__(self, index: SupportsIndex) -> Window:
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        number = bisect.bisect_right(self._ends, index)
        shard = self._shards[number]
        night = self._entries[self.night_of[index]]
        try:
            record = self._reader(number).read([index - self._ends[number] + shard.windows])[0]
            return window_record.decode(record, night)
        except (RuntimeError, ValueError, LookupError) as error:
            self._refuse(shard, night, error)

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
                    self._readers[number] = open_shard(self.path, self._shards[number])
                reader = self._readers[number]
        return reader

    def _refuse(self, shard: Shard, night: NightEntry, error: Exception) -> NoReturn:
        raise InputError(
            f"{self.path / shard.file} is damaged in night {night.name}: copy it again, or pack "
            f"again ({' '.join(str(error).split())[:100]})"
        ) from error


def open_shard(folder: Path, shard: Shard) -> ArrayRecordReader:
    """Opens a shard.

    Args:
        folder: of the store.
        shard: what the index says of it.

    Raises:
        InputError: it cannot be read, or holds another number of windows.
    """
    path = folder / shard.file
    try:
        reader = ArrayRecordReader(str(path), OPTIONS, file_reader_buffer_size=BUFFER)
        found = reader.num_records()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: copy it again, or pack again") from error
    if not reader.ok() or found != shard.windows:
        raise InputError(
            f"{path} is damaged: {found} of {shard.windows} windows are found: copy it again, or "
            "pack again"
        )
    return reader
