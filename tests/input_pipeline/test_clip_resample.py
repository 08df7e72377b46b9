"""Signals keep their shape and their times at 256 Hz, and nothing above half of it gets in."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sleepfm_jax.input_pipeline import clip_resample
from sleepfm_jax.input_pipeline.clip_resample import ratio, to_clips
from sleepfm_jax.input_pipeline.clips import RATE, SAMPLES, SECONDS

RATES = (1.0, 8.0, 32.0, 100.0, 128.0, 199.87, 200.0, 256.0, 499.907, 500.0, 512.0, 1000.0)


def waves(seed: int, below: float, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Four sines below a frequency at some times, and their derivative."""
    random = np.random.default_rng(seed)
    frequency, phase = random.uniform(0.2, 1.0, 4) * below, random.uniform(0, 6, 4)
    angle = 2 * np.pi * frequency * times[..., None] + phase
    return np.sin(angle).sum(-1), (2 * np.pi * frequency * np.cos(angle)).sum(-1)


@pytest.mark.parametrize("rate", [32, 100, 128, 200, 250, 500, 512])
def test_it_equals_the_fourier_method_on_band_limited_signals(rate: int) -> None:
    """Of `scipy.signal.resample`, away from the ends, where that takes the signal for periodic."""
    n = 150 * rate
    x, _ = waves(rate, 0.35 * min(rate, RATE), np.arange(n) / rate)
    oracle = scipy.signal.resample(x, 150 * RATE)
    clips = to_clips(x, rate, 30.0, 3)
    inside = oracle[30 * RATE : 120 * RATE].reshape(3, SAMPLES)
    assert np.abs(clips - inside).max() < 0.02 * np.abs(inside).max()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(RATES), st.floats(11.0, 50.0), st.integers(0, 9))
@example(200.0, 5.995, 0)
@example(256.0, 1 / 512, 0)
def test_every_sample_stands_at_its_time(rate: float, first: float, seed: int) -> None:
    """Away from the ends, beyond which the signal is taken to keep its value."""
    source = np.arange(int(130 * rate)) / rate
    x, _ = waves(seed, 0.3 * min(rate, 30.0), source)
    clips = to_clips(x, rate, first, 2)
    times = first + np.arange(2 * SAMPLES).reshape(2, SAMPLES) / RATE
    expected, slope = waves(seed, 0.3 * min(rate, 30.0), times)
    late = ((clips - expected) * slope).sum(1) / np.square(slope).sum(1)  # (2,) seconds
    assert np.abs(late).max() * RATE < 0.5 / ratio(rate).denominator + 0.03
    assert np.abs(clips - expected - late[:, None] * slope).max() < 0.05


def test_a_clip_that_begins_at_a_sample_of_the_source_is_exact_in_time() -> None:
    """The real case: 200 Hz, scored from sample 71999 on."""
    x = np.arange(40 * 200, dtype=float)
    assert to_clips(x, 200.0, 1199 / 200, 1)[0, 0] == pytest.approx(1199, abs=0.01)


def test_a_ratio_that_is_not_exact_does_not_drift() -> None:
    """Half an hour at a rate that no small fraction makes 256 Hz of; the drift would show late."""
    rate, hours = 256 / 1.23456789, 0.5
    source = np.arange(int(hours * 3600 * rate)) / rate
    count = int(hours * 3600 / SECONDS) - 1
    clips = to_clips(np.sin(2 * np.pi * source), rate, 0.0, count)
    last = SECONDS * (count - 1) + np.arange(SAMPLES) / RATE
    late = np.arcsin(clips[-1, last % 1 < 0.1] - np.sin(2 * np.pi * last[last % 1 < 0.1]))
    assert np.abs(late).max() / (2 * np.pi) * RATE < 0.5


@pytest.mark.parametrize(("rate", "frequency"), [(500, 170.0), (1000, 300.0), (512, 200.0)])
def test_what_is_above_128_hz_does_not_come_back_as_something_lower(
    rate: int, frequency: float
) -> None:
    x = np.sin(2 * np.pi * frequency * np.arange(90 * rate) / rate)
    assert np.abs(to_clips(x, rate, 30.0, 1)).max() < 0.01


@pytest.mark.parametrize("rate", [1.0, 8.0, 128.0, 200.0, 500.0])
def test_a_constant_stays_one_and_holds_beyond_the_ends(rate: float) -> None:
    clips = to_clips(np.full(int(30 * rate), 95.0), rate, 0.0, 1)
    np.testing.assert_allclose(clips, 95.0, rtol=1e-12)


def test_runs_of_clips_make_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).standard_normal(200 * 200)
    whole = to_clips(x, 200.0, 3.005, 6)
    monkeypatch.setattr(clip_resample, "RUN", 1)
    np.testing.assert_allclose(to_clips(x, 200.0, 3.005, 6), whole, atol=1e-10)


@given(st.floats(0.2, 5000.0))
def test_ratios_stay_small_enough_for_a_filter(rate: float) -> None:
    found = ratio(rate)
    assert max(found.as_integer_ratio()) <= 20 * clip_resample.FINEST
    assert float(found) == pytest.approx(RATE / rate, rel=1e-3)
