"""What the rule keeps is untouched, what it refuses is empty, and both are counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import windows
from sleepfm_jax.input_pipeline.windows import EMPTY, PATCH, PATCHES, SAMPLES, Rule
from tests.input_pipeline.small_nights import noise

FOUR = np.arange(4, dtype=np.int8)


@settings(max_examples=30, deadline=None)
@given(
    patches=st.integers(1, PATCHES),
    rest=st.integers(0, PATCH - 1),
    flat=st.lists(st.integers(0, PATCHES), min_size=4, max_size=4),
    limit=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_a_channel_stays_whole_or_is_emptied(
    patches: int, rest: int, flat: list[int], limit: float
) -> None:
    n = min(patches * PATCH + rest, SAMPLES)
    signals = noise(0, 4, n)
    flat = [min(count, patches) for count in flat]
    for channel, count in enumerate(flat):
        signals[channel, : count * PATCH] = 0.5
    found = windows.screen(signals, FOUR, Rule(limit, 1, 1))
    assert found.patches == patches
    np.testing.assert_allclose(found.flat, np.array(flat) / patches, rtol=1e-6)
    assert (found.missing == 0).all()
    for channel in range(4):
        stays = flat[channel] / patches <= limit
        assert found.modality[channel] == (channel if stays else EMPTY)
        expected = signals[channel, : patches * PATCH] if stays else 0
        np.testing.assert_array_equal(found.signals[channel, : patches * PATCH], expected)
    assert found.signals.shape == (4, SAMPLES)
    assert found.signals.dtype == np.float16
    assert found.modality.dtype == np.int8
    assert not found.signals[:, patches * PATCH :].any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_sample_that_is_no_number_empties_its_channel_alone(value: float) -> None:
    signals = noise(1, 4, SAMPLES)
    signals[2, 1234] = value
    found = windows.screen(signals, FOUR, Rule())
    assert found.modality.tolist() == [0, 1, EMPTY, 3]
    assert not found.signals[2].any()
    np.testing.assert_array_equal(found.signals[3], signals[3])
    assert found.missing.tolist() == [0, 0, np.float32(1 / PATCHES), 0]
    assert found.fault is None


def test_a_patch_that_differs_in_one_sample_is_not_flat() -> None:
    signals = np.zeros((4, SAMPLES), np.float16)
    signals[:, ::PATCH] = 1
    assert (windows.screen(signals, FOUR, Rule(0.0)).modality == FOUR).all()
    signals[1, 0] = 0
    assert windows.screen(signals, FOUR, Rule(0.0)).modality[1] == EMPTY


def test_samples_beyond_the_last_patch_do_not_count() -> None:
    signals = noise(2, 4, 20 * PATCH + 5)
    signals[:, 20 * PATCH :] = np.nan
    found = windows.screen(signals, FOUR, Rule())
    assert (found.modality == FOUR).all()
    assert found.patches == 20


@pytest.mark.parametrize(
    ("modality", "patches", "reason"),
    [
        ([0, 0, 1], 60, None),
        ([0, 1, EMPTY], 12, None),
        ([0, 0, 0], 60, "fewer than 2 modalities"),
        ([0, EMPTY, EMPTY], 60, "fewer than 2 modalities"),
        ([EMPTY, EMPTY], 60, "fewer than 2 modalities"),
        ([0, 1, 2], 11, "fewer than 12 patches"),
    ],
)
def test_windows_without_two_modalities_or_too_short_are_dropped(
    modality: list[int], patches: int, reason: str | None
) -> None:
    signals = noise(3, len(modality), patches * PATCH)
    found = windows.screen(signals, np.array(modality, np.int8), Rule())
    assert found.fault == reason
    assert windows.fault(np.array(modality, np.int8), patches, Rule()) == reason


def test_windows_are_counted_with_a_partial_one() -> None:
    assert [windows.count(n) for n in (0, PATCH - 1, PATCH, SAMPLES, SAMPLES + PATCH - 1)] == [
        0,
        0,
        1,
        1,
        1,
    ]
    assert windows.count(SAMPLES + PATCH) == 2


@pytest.mark.parametrize(
    "settings", [{"flat_limit": 1.1}, {"least_modalities": 5}, {"least_patches": 61}]
)
def test_impossible_rules_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="give"):
        Rule(**settings)  # type: ignore[arg-type]
