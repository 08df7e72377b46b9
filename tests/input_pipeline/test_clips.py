import dataclasses
import pickle
from typing import SupportsIndex

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clips
from sleepfm_jax.input_pipeline.clips import Clip
from sleepfm_jax.models.effnet import EffNetConfig


@dataclasses.dataclass
class Numbered:
    """A source whose clips hold their number."""

    stages: np.ndarray
    nights: tuple[str, ...] = ("a", "b")
    subjects: tuple[str, ...] = ("p", "q")

    def __post_init__(self) -> None:
        self.night_of = np.repeat(np.arange(2, dtype=np.int32), [2, len(self.stages) - 2])
        self.starts = np.arange(len(self.stages)) * 30.0

    def __len__(self) -> int:
        return len(self.stages)

    def __getitem__(self, index: SupportsIndex) -> Clip:
        index = int(index)
        signals = np.full((9, clips.SAMPLES), index, np.float16)
        night = self.nights[self.night_of[index]]
        return Clip(signals, np.ones(9, bool), int(self.stages[index]), night, self.starts[index])


def test_clips_have_what_the_towers_take() -> None:
    assert dict(clips.COUNTS) == EffNetConfig().channels
    assert list(clips.COUNTS) == list(EffNetConfig().channels) == list(clips.MODALITIES)
    assert len(clips.CHANNELS) == sum(clips.COUNTS.values())
    assert clips.SAMPLES == clips.SECONDS * clips.RATE


def test_a_modality_is_there_with_one_of_its_places() -> None:
    one = np.eye(9, dtype=bool)  # (9 clips, 9 places), one place each
    expected = np.repeat(np.eye(3, dtype=bool), [3, 5, 1], axis=0)
    assert (clips.modalities_present(one) == expected).all()
    assert clips.modalities_present(~one)[:-1].all()
    assert clips.modalities_present(~one)[-1].tolist() == [True, True, False]


def test_scored_clips_are_those_with_a_stage() -> None:
    source = Numbered(np.array([-1, 3, 0, -1, 4], np.int8))
    chosen = pickle.loads(pickle.dumps(clips.scored(source)))
    assert chosen.nights == source.nights
    assert chosen.subjects == source.subjects
    assert chosen.stages.tolist() == [3, 0, 4]
    assert chosen.night_of.tolist() == [0, 1, 1]
    assert chosen.starts.tolist() == [30.0, 60.0, 120.0]
    assert [clip.stage for clip in map(chosen.__getitem__, range(3))] == [3, 0, 4]
    assert [chosen[number].signals[0, 0] for number in range(len(chosen))] == [1, 2, 4]
    with pytest.raises(IndexError):
        chosen[3]
    with pytest.raises(InputError, match=r"none of 2 clips has a sleep stage.*--labels"):
        clips.scored(Numbered(np.array([-1, -1], np.int8)))
