"""An open recording whose samples are in memory."""

import dataclasses
from collections.abc import Mapping

import numpy as np

SECONDS = 100


@dataclasses.dataclass(frozen=True)
class Signal:
    label: str
    rate: float


@dataclasses.dataclass
class InMemory:
    """An open recording: channels by label, each (rate, samples of every stretch)."""

    channels: Mapping[str, tuple[float, list[np.ndarray]]]
    segments: tuple[tuple[float, float], ...] = ((0.0, float(SECONDS)),)

    def __post_init__(self) -> None:
        self.signals = tuple(Signal(label, rate) for label, (rate, _) in self.channels.items())
        self.duration = self.segments[-1][1]

    def read(self, signal: Signal, segment: int = 0) -> np.ndarray:
        return self.channels[signal.label][1][segment]

    def __enter__(self) -> "InMemory":
        return self

    def __exit__(self, *_: object) -> None:
        """Closes nothing."""
