"""A source of windows in memory: every sample says which window and channel it is of."""

from typing import SupportsIndex

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.windows import SAMPLES, Window


class FakeWindows:
    """Nights of `counts` windows; window i has i mod 7 more channels than two."""

    def __init__(self, counts: list[int], damaged: tuple[int, ...] = ()) -> None:
        self.nights = tuple(f"night{k}" for k in range(len(counts)))
        self.night_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self.damaged = damaged
        self.reads = 0

    def __len__(self) -> int:
        return len(self.night_of)

    def __getitem__(self, index: SupportsIndex) -> Window:
        i = int(index)
        self.reads += 1
        if i in self.damaged:
            raise InputError(f"window {i} is damaged: pack it again")
        night = self.night_of[i]
        modality = self.modality(i)
        signals = np.zeros((len(modality), SAMPLES), np.float16)
        signals[:, 0] = i
        signals[:, 1] = np.arange(len(modality)) + 1
        return Window(signals, modality, 1 + i % 60, self.nights[night], 0.0, ())

    def modality(self, index: int) -> np.ndarray:
        """(C,) int8: two to four modalities, of some windows with an emptied channel."""
        modality = np.sort(np.arange(2 + index % 7) % (2 + index % 3)).astype(np.int8)
        if index % 4 == 1:
            modality = np.concatenate([[np.int8(-1)], modality])
        return modality
