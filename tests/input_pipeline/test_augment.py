"""Every modality keeps a channel, two modalities stay, and shares come out as asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.input_pipeline.augment import FARTHEST, Augmentation, amplify, choose, survivors

MODALITIES = st.lists(st.integers(-1, 3), min_size=1, max_size=40).map(
    lambda tags: np.array(tags, np.int8)
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(max_examples=60, deadline=None)
@given(MODALITIES, st.integers(4, 24), st.integers(0, 9))
def test_the_choice_keeps_every_modality_and_fills_the_slots(
    modality: np.ndarray, slots: int, seed: int
) -> None:
    chosen = choose(modality, slots, rng(seed))
    real = modality[modality >= 0]
    assert len(chosen) == min(len(real), slots)
    assert (np.diff(chosen) > 0).all()
    assert set(modality[chosen]) == set(real)


def test_every_channel_is_chosen_at_times() -> None:
    modality = np.repeat(np.arange(4, dtype=np.int8), [20, 5, 1, 4])
    often = np.zeros(30)
    for seed in range(300):
        often[choose(modality, 16, rng(seed))] += 1
    assert often[25] == 300  # the only EKG
    assert often.min() > 75


@settings(max_examples=60, deadline=None)
@given(
    MODALITIES.map(lambda tags: np.sort(tags[tags >= 0])),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 9),
)
def test_a_channel_of_each_modality_and_two_modalities_stay(
    modality: np.ndarray, channel_dropout: float, modality_dropout: float, seed: int
) -> None:
    kept = Augmentation(channel_dropout, modality_dropout).kept(modality, rng(seed))
    before, after = np.unique(modality), np.unique(modality[kept])
    if not modality_dropout:
        assert list(after) == list(before)
    assert len(after) >= min(2, len(before))
    if not channel_dropout:  # a modality goes as a whole
        assert kept.sum() == np.isin(modality, after).sum()
    if channel_dropout == 1:
        assert kept.sum() == len(after)
    if modality_dropout == 1:
        assert len(after) == min(2, len(before))


def test_dropout_leaves_out_the_share_asked_for() -> None:
    stays = np.mean([survivors(10, 0.3, 1, rng(seed)) for seed in range(2000)])
    assert stays == pytest.approx(0.7, abs=0.01)
    # of two, both are drawn out in a quarter of the cases, and one of them comes back
    pairs = np.array([survivors(2, 0.5, 1, rng(seed)) for seed in range(4000)])
    assert pairs.mean() == pytest.approx(5 / 8, abs=0.02)
    assert pairs[:, 0].mean() == pytest.approx(pairs[:, 1].mean(), abs=0.03)


def test_gains_are_log_normal_and_bounded() -> None:
    assert Augmentation().gains(4, rng()) is None
    gains = np.log(Augmentation(amplitude_jitter=0.2).gains(20_000, rng()))
    assert gains.mean() == pytest.approx(0, abs=0.01)
    assert gains.std() == pytest.approx(0.2, abs=0.01)
    assert np.abs(gains).max() == pytest.approx(0.2 * FARTHEST, rel=1e-5)


def test_amplified_samples_are_rounded_as_by_numpy() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    every = bits.view(np.float16)[np.isfinite(bits.view(np.float16))]
    for gain in (0.05, 0.7, 1.0, 1.4142135, 3.0):
        with np.errstate(over="ignore"):
            expected = np.multiply(every, np.float32(gain)).astype(np.float16)
        amplified = every.copy()
        fits = np.isfinite(expected)
        amplify(amplified, gain)
        tiny = np.abs(expected) < 2.0**-14
        assert np.array_equal(
            amplified[fits & ~tiny].view(np.uint16), expected[fits & ~tiny].view(np.uint16)
        )
        steps = amplified[tiny].view(np.int16) - expected[tiny].view(np.int16)
        assert np.abs(steps).max() <= 1
