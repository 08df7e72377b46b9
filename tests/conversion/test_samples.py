"""What parity is measured on: noise of all modalities, and windows that a recording really has."""

from pathlib import Path

import numpy as np
import pytest

from conversion import samples
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import nights
from sleepfm_jax.input_pipeline.modality import Modality


def test_noise_depends_on_its_seed_and_has_one_single_channel() -> None:
    noise = samples.noise(2, seed=5)
    assert noise.signals.shape == (2, 10, 38400)
    assert abs(noise.signals.std() - 1) < 0.01
    counts = [int((noise.modality == m).sum()) for m in Modality]
    assert sorted(counts)[0] == 1
    assert sorted(counts)[1] > 1
    np.testing.assert_array_equal(noise.signals, samples.noise(2, seed=5).signals)
    assert not np.array_equal(noise.signals, samples.noise(2, seed=6).signals)


def test_windows_are_spread_over_the_night(psg: Path) -> None:
    path = psg / "dreams_excerpt3" / "excerpt3.edf"
    night = nights.load(path)
    sample = samples.of_night(path, 3)
    np.testing.assert_array_equal(sample.modality, night.modality)
    expected = [night.signals[:, n * 38400 : (n + 1) * 38400] for n in (0, 2, 5)]
    np.testing.assert_array_equal(sample.signals, np.stack(expected).astype(np.float32))
    assert sample.description.startswith("excerpt3.edf: 3 windows of 300 s, channels BAS 5, RESP 7")
    assert samples.of_night(path, 99).signals.shape[0] == 6


def test_a_short_recording_is_one_partial_window(psg: Path) -> None:
    sample = samples.of_night(psg / "cap_brux2_crop" / "sample.edf", 4)
    assert sample.signals.shape == (1, 5, 20 * 640)
    assert sample.description == "sample.edf: 1 window of 100 s, channels BAS 5"


def test_an_unusable_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "night.edf").write_bytes(b"")
    with pytest.raises(InputError, match=r"night\.edf"):
        samples.of_night(tmp_path / "night.edf", 1)
