"""A source of clips in memory, in which every number tells where it comes from."""

from typing import SupportsIndex

import numpy as np

from sleepfm_jax.input_pipeline import clips
from sleepfm_jax.input_pipeline.clips import Clip

NUMBERS = np.arange(len(clips.CHANNELS))


class FakeClips:
    """Nights of so many clips; clip i is full of i + place / 16, its stage i mod 6 − 1.

    Clip i lacks place i mod 9, and every seventh one all of `respiratory`.
    """

    def __init__(self, counts: list[int]) -> None:
        self.nights = tuple(f"night{n}" for n in range(len(counts)))
        self.subjects = self.nights
        self.night_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self.stages = (np.arange(len(self.night_of)) % 6 - 1).astype(np.int8)
        self.starts = np.concatenate([np.arange(n) * clips.SECONDS for n in counts])

    def __len__(self) -> int:
        return len(self.night_of)

    def __getitem__(self, index: SupportsIndex) -> Clip:
        i = int(index)
        present = i % 9 != NUMBERS
        if i % 7 == 0:
            present[:3] = False
        signals = np.broadcast_to((i + NUMBERS / 16)[:, None], (9, clips.SAMPLES))
        return Clip(
            np.where(present[:, None], signals, 0).astype(np.float16),
            present,
            int(self.stages[i]),
            self.nights[self.night_of[i]],
            float(self.starts[i]),
        )
