"""Clips through loaded towers: the network's numbers, whatever else is in the batch."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from sleepfm_jax import inference, saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.inference import Towers
from sleepfm_jax.input_pipeline.clips import modalities_present
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.version import __version__
from tests.inference import small_towers
from tests.jobs import small_models

ROUNDING = 2e-6  # of float32, as in tests/models


def test_rows_are_the_networks_clip_by_clip() -> None:
    signals, present = small_towers.noise(6)
    network = saved_model.build(small_towers.saved())
    expected = np.asarray(jax.jit(network)(signals.astype(np.float32), modalities_present(present)))
    found = small_towers.towers().embed(signals, present)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=ROUNDING * np.abs(expected).max())
    np.testing.assert_array_equal(np.abs(found).max(axis=-1) > 0, modalities_present(present))


def test_a_clip_is_the_same_in_any_batch_and_at_any_place() -> None:
    """Bit by bit: in order, reversed, one by one, and in a last batch that is not full."""
    signals, present = small_towers.noise(7)
    embed = small_towers.towers().embed
    whole = embed(signals, present)
    assert whole.shape == (7, 3, 6)
    np.testing.assert_array_equal(embed(signals[::-1], present[::-1])[::-1], whole)
    one_by_one = [embed(signals[k : k + 1], present[k : k + 1])[0] for k in range(7)]
    np.testing.assert_array_equal(one_by_one, whole)
    assert embed(signals[:0], present[:0]).shape == (0, 3, 6)


def test_bfloat16_rounds_to_about_a_hundredth_and_is_compiled_once() -> None:
    small_towers.towers().embed(*small_towers.noise(1))
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    rough = Towers(small_towers.saved(), Numerics("bfloat16"), batch=2)
    for count in (1, 2, 5):
        clips = small_towers.noise(count)
        found = rough.embed(*clips)
        exact = small_towers.towers().embed(*clips)
        away = np.abs(found - exact).max() / np.abs(exact).max()
        assert found.dtype == np.float32
        assert 1e-4 < away < 0.05
    assert len(compiled) == 1


def test_what_is_loaded_tells_what_it_is(tmp_path: Path) -> None:
    towers = inference.load_towers(small_towers.save(tmp_path / "small"), dtype="bfloat16")
    assert towers.config == small_towers.CONFIG
    assert towers.provenance == {
        "model": "small",
        "model_sha256": small_towers.saved().content_hash,
        "dtype": "bfloat16",
        "precision": "highest",
        "embedded_by": f"sleepfm-jax {__version__}",
    }


def test_other_models_and_other_clips_are_refused(tmp_path: Path) -> None:
    saved_model.save(tmp_path / "base", small_models.saved(small_models.BASE))
    with pytest.raises(InputError, match="of kind foundation, not the towers model"):
        inference.load_towers(tmp_path / "base")
    config = dataclasses.replace(small_towers.CONFIG, ekg=2)
    saved_model.save(tmp_path / "two", small_models.saved(config))
    with pytest.raises(InputError, match=r"its towers take .*'ekg': 2.* clips have .*'ekg': 1"):
        inference.load_towers(tmp_path / "two")
    with pytest.raises(ValueError, match="float16"):
        inference.load_towers(tmp_path / "two", dtype="float16")
    signals, present = small_towers.noise(2)
    for clips, places in ((signals[:, :, 1:], present), (signals, present[:1])):
        with pytest.raises(ValueError, match=r"clips .* with present"):
            small_towers.towers().embed(clips, places)
