"""When the clips of a night begin and what stage each has, in the few words of a store's index."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from sleepfm_jax.input_pipeline.clips import SECONDS

LETTERS = "?W123R"  # by stage, from −1


@dataclasses.dataclass(frozen=True)
class ClipTimes:
    """The clips of a night that were kept.

    Attributes:
        begin: of the night's first epoch, seconds from the start of the recording.
        numbers: (K,) int64 of the epochs that became clips, ascending from 0.
        stages: (K,) int8 of each, −1 unscored.
    """

    begin: float
    numbers: np.ndarray
    stages: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """(K,) float64 seconds from the start of the recording."""
        return self.begin + SECONDS * self.numbers

    def content(self) -> dict[str, Any]:
        """What stands in the index: runs of epochs [first, count], and a letter for each stage."""
        breaks = np.flatnonzero(np.diff(self.numbers, prepend=-2) != 1)
        counts = np.diff(breaks, append=len(self.numbers))
        runs = np.stack([self.numbers[breaks], counts], axis=1)  # (runs, 2)
        letters = "".join(LETTERS[stage + 1] for stage in self.stages)
        return {"begin": self.begin, "epochs": runs.tolist(), "stages": letters}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "ClipTimes":
        """The times of what stands in the index.

        Args:
            content: as of `content`, from JSON.
        """
        numbers = [np.arange(first, first + count) for first, count in content["epochs"]]
        stages = [LETTERS.index(letter) - 1 for letter in content["stages"]]
        return cls(content["begin"], np.concatenate(numbers), np.array(stages, np.int8))
