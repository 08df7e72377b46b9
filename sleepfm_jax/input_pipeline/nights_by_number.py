"""What batches of nights are made of: nights by number, as embeddings or as signals."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from sleepfm_jax.input_pipeline.night_files import Reasons


class Nights(Protocol):
    """Nights by number, as embeddings or as signals.

    Attributes:
        names: (N,).
        steps: (N,) int32, 5-s steps of each night.
        unit: steps that runs begin at multiples of.
        left_out: (night, reason) of each night that cannot be used.
    """

    names: tuple[str, ...]
    steps: np.ndarray
    unit: int
    left_out: Reasons

    def rows(self, b: int, T: int) -> dict[str, np.ndarray]:
        """Empty rows of a batch."""
        ...

    def fill(
        self,
        batch: dict[str, np.ndarray],
        row: int,
        night: int,
        run: slice,
        rng: np.random.Generator,
    ) -> None:
        """Puts a run of a night's steps at the beginning of an empty row."""
        ...


Opening = Callable[[Mapping[str, Path]], Nights]


class NamesOnly:
    """Nights of which nothing is read, for models that know age and sex alone."""

    unit = 1
    left_out: Reasons = ()

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Takes the names of `files`."""
        self.names = tuple(files)
        self.steps = np.zeros(len(files), np.int32)

    def rows(self, b: int, T: int) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Nothing."""
        return {}

    def fill(self, *_: object) -> None:
        """Reads nothing."""
