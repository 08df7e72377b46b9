"""Flat, clipped and missing shares are what was put into the channel."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm_jax.input_pipeline.quality import Gauge

RATE = 10.0


def noise(seconds: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, round(seconds * RATE))


@given(flat=st.integers(0, 10), noisy=st.integers(1, 10))
def test_flat_epochs_are_counted(flat: int, noisy: int) -> None:
    gauge = Gauge(RATE, -10, 10)
    gauge.add(np.concatenate([np.full(flat * 300, 0.5), noise(noisy * 30)]))
    quality = gauge.quality((flat + noisy) * 30)
    assert quality.flat == pytest.approx(flat / (flat + noisy))
    assert quality.clipped == quality.missing == 0
    assert gauge.whole


@pytest.mark.parametrize("limits", [(-5.0, 5.0), (5.0, -5.0)])
def test_samples_at_either_limit_are_clipped(limits: tuple[float, float]) -> None:
    samples = noise(100)
    samples[:30], samples[-20:] = 5.0, -5.0 + 1e-12
    gauge = Gauge(RATE, *limits)
    gauge.add(samples)
    assert gauge.quality(100).clipped == 50 / 1000


@pytest.mark.parametrize("limits", [(-math.inf, math.inf), (0.0, 0.0)])
def test_without_limits_nothing_is_clipped(limits: tuple[float, float]) -> None:
    gauge = Gauge(RATE, *limits)
    gauge.add(noise(10))
    assert gauge.quality(10).clipped == 0


def test_gaps_and_nan_are_missing() -> None:
    gauge = Gauge(RATE, -10, 10)
    gauge.add(noise(30))
    assert gauge.whole
    broken = noise(30)
    broken[:100] = np.nan
    gauge.add(broken)
    assert not gauge.whole
    assert gauge.quality(100).missing == pytest.approx(1 - (60 - 10) / 100)


def test_infinity_is_no_number() -> None:
    gauge = Gauge(RATE, -10, 10)
    gauge.add(np.array([0.0, np.inf]))
    assert not gauge.whole
