"""Packed clips, read at random; stages and times of all are known without reading one."""

import os

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clip_record
from sleepfm_jax.input_pipeline.clip_times import ClipTimes
from sleepfm_jax.input_pipeline.clips import Clip
from sleepfm_jax.input_pipeline.packed_store import PackedStore
from sleepfm_jax.input_pipeline.store_index import NightEntry
from sleepfm_jax.input_pipeline.store_kinds import CLIPS


class ClipStore(PackedStore[Clip]):
    """A source of the packed clips of one split, as `clips.Source`.

    Attributes:
        subjects: whose each of `nights` is.
        stages: (N,) int8 of each clip, −1 unscored.
        starts: (N,) float64, seconds from the start of its recording.
    """

    kind = CLIPS

    def __init__(self, path: str | os.PathLike[str], split: str) -> None:
        super().__init__(path, split)
        self.subjects = tuple(night.subject for night in self._entries)
        times = [ClipTimes.of(night.more) for night in self._entries]
        self.stages = np.concatenate([one.stages for one in times])  # (N,)
        self.starts = np.concatenate([one.starts for one in times])  # (N,)
        if not len(self) == len(self.stages) == len(self.starts):
            raise InputError(
                f"{self.path / self.kind.file} counts other clips than it tells the stages of: "
                "pack again"
            )

    def _decode(self, record: bytes, night: NightEntry, index: int, /) -> Clip:
        stage, start = int(self.stages[index]), float(self.starts[index])
        return clip_record.decode(record, night.name, stage, start)
