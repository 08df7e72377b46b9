"""Thirty-second clips of nights, which the ICML 2024 towers are trained on (spec §5).

A *source of clips* is random access: `len(source)`, `source[i] -> Clip`, and known without reading
one, `source.nights`, `night_of`, `stages` and `starts`; `open_store` opens a packed one.
"""

import dataclasses
import operator
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, SupportsIndex

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.hypnogram import UNSCORED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sleepfm_jax.input_pipeline.clip_store import ClipStore

RATE = 256  # Hz
SECONDS = 30.0  # an epoch
SAMPLES = 7680  # of a channel of a clip
COUNTS: "Mapping[str, int]" = MappingProxyType({"respiratory": 3, "sleep_stages": 5, "ekg": 1})
MODALITIES = tuple(COUNTS)
CHANNELS = ("CHEST", "SaO2", "ABD", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "ECG")
_FIRST = np.cumsum([0, *COUNTS.values()])[:-1]  # (3,) place at which each modality begins


class Clip(NamedTuple):
    """Thirty seconds of a night.

    Attributes:
        signals: (9, 7680) float16, 256 Hz, in the places of `CHANNELS`; zeros where empty.
        present: (9,) bool, which places hold a channel.
        stage: 0 Wake, 1 N1, 2 N2, 3 N3, 4 REM, −1 unscored.
        night: its name.
        start: seconds from the start of the recording.
    """

    signals: np.ndarray
    present: np.ndarray
    stage: int
    night: str
    start: float


class Source(Protocol):
    """Clips by number, those of a night next to each other and in the order of time.

    Sources can be pickled and read from several threads.

    Attributes:
        nights: names.
        subjects: whose each of `nights` is.
        night_of: (N,) int32, index into `nights` of each clip.
        stages: (N,) int8 of each clip, −1 unscored.
        starts: (N,) float64, seconds from the start of its recording.
    """

    nights: tuple[str, ...]
    subjects: tuple[str, ...]
    night_of: np.ndarray
    stages: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int: ...

    def __getitem__(self, index: SupportsIndex) -> Clip: ...


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a clip must be like.

    A channel that is flat, or lacks samples, is emptied in that clip alone. Oxygen saturation may
    be flat.

    Attributes:
        flat_limit: the largest share of flat seconds (all samples equal) of a channel that stays.
        least_modalities: with fewer left the clip is dropped; the contrastive loss needs two.
    """

    flat_limit: float = 0.5
    least_modalities: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.flat_limit <= 1:
            raise InputError(f"a flat limit of {self.flat_limit:g} is no share: give 0 to 1")
        if not 1 <= self.least_modalities <= len(MODALITIES):
            raise InputError(f"{self.least_modalities} modalities cannot be the least: give 1 to 3")


def modalities_present(present: np.ndarray) -> np.ndarray:
    """Which modalities clips have: those with at least one channel.

    Args:
        present: (…, 9) bool, of the places.

    Returns:
        (…, 3) bool, in the order of `MODALITIES`.
    """
    return np.logical_or.reduceat(present, _FIRST, axis=-1)


def open_store(path: str | os.PathLike[str], split: str = "train") -> "ClipStore":
    """Opens the packed clips of one split.

    Args:
        path: folder that `sleepfm-jax clip` made.
        split: such as pretrain, train, validation or test.

    Raises:
        InputError: there is no store, it has no such split, or it is damaged.
    """
    from sleepfm_jax.input_pipeline.clip_store import ClipStore

    return ClipStore(path, split)


def scored(source: Source) -> Source:
    """The clips of a source that have a stage; its nights stay, also those without such clips.

    Args:
        source: of clips.

    Raises:
        InputError: no clip has a stage.
    """
    numbers = np.flatnonzero(source.stages != UNSCORED)
    if not len(numbers):
        raise InputError(
            f"none of {len(source)} clips has a sleep stage: pack them with --labels DIR"
        )
    return _Chosen(source, numbers)


@dataclasses.dataclass
class _Chosen:
    """Some of the clips of a source, by their numbers in it."""

    source: Source
    numbers: np.ndarray  # (N,)

    def __post_init__(self) -> None:
        self.nights, self.subjects = self.source.nights, self.source.subjects
        self.night_of = self.source.night_of[self.numbers]  # (N,)
        self.stages = self.source.stages[self.numbers]  # (N,)
        self.starts = self.source.starts[self.numbers]  # (N,)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: SupportsIndex) -> Clip:
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        return self.source[self.numbers[index]]
