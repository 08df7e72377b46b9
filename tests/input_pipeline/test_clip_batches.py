"""Rows hold their clips, absent modalities are said, the last held-out batch is filled up."""

import numpy as np

from sleepfm_jax.input_pipeline import clip_batches, clips
from sleepfm_jax.input_pipeline.batching import SampleBatching
from tests.input_pipeline.fake_clips import FakeClips

SOURCE = FakeClips([9, 5, 8])
BATCHING = SampleBatching(batch_size=8, seed=3)


def test_rows_hold_their_clips() -> None:
    stream = clip_batches.training(SOURCE, BATCHING)
    assert stream.batches_per_epoch == 2
    seen = []
    for batch in (next(stream), next(stream)):
        assert batch["clips"].shape == (8, 9, 7680)
        assert batch["clips"].dtype == np.float16
        for row in range(8):
            number = int(batch["clips"][row].max())
            clip = SOURCE[number]
            assert np.array_equal(batch["clips"][row], clip.signals)
            assert np.array_equal(batch["present"][row], clips.modalities_present(clip.present))
            assert batch["stage"][row] == clip.stage
            assert batch["night"][row] == SOURCE.night_of[number]
            seen.append(number)
    stream.close()
    assert len(set(seen)) == 16


def test_processes_hold_contiguous_rows_of_the_same_batches() -> None:
    whole = next(clip_batches.training(SOURCE, BATCHING))
    parts = [next(clip_batches.training(SOURCE, BATCHING, p, 2)) for p in range(2)]
    for name, rows in whole.items():
        assert np.array_equal(np.concatenate([part[name] for part in parts]), rows), name


def test_the_last_held_out_batch_is_filled_up_with_nothing() -> None:
    made = list(clip_batches.held_out(SOURCE, 100, BATCHING))
    assert len(made) == 3
    last = made[-1]
    empty = last["night"] == -1
    assert empty.sum() == 2
    assert not last["clips"][empty].any()
    assert not last["present"][empty].any()
    assert (last["stage"][empty] == -1).all()
    stages = np.concatenate([batch["stage"] for batch in made])
    assert sorted(stages[:22]) == sorted(SOURCE.stages)
