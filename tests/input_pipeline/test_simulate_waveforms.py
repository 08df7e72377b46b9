"""The building blocks of simulated signals have the spectra, levels and places asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from sleepfm_jax.input_pipeline.simulation.streams import stream
from sleepfm_jax.input_pipeline.simulation.waveforms import (
    GRID_RATE,
    coloured_noise,
    drift,
    place,
    rhythm,
    upsample,
)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("rate", [4, 8, 20, 128, 200])
def test_upsampling_is_linear_interpolation(rate: int) -> None:
    envelope = generator().standard_normal(41)
    made = upsample(envelope, rate)
    times = np.arange(10 * rate) / rate
    expected = np.interp(times, np.arange(41) / GRID_RATE, envelope)
    np.testing.assert_allclose(made, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("frequency", "bandwidth"), [(1.0, 0.8), (5.5, 1.9), (9.8, 1.2), (0.35, 0.2)]
)
def test_a_rhythm_has_its_frequency_width_and_level(frequency: float, bandwidth: float) -> None:
    made = rhythm(generator(), np.full(4 * 3600 + 1, 20.0), 128, frequency, bandwidth)
    assert made.std() == pytest.approx(20, rel=0.08)
    frequencies, power = signal.welch(made, 128, nperseg=128 * 30)
    mean = (frequencies * power).sum() / power.sum()
    width = 2 * np.sqrt(((frequencies - mean) ** 2 * power).sum() / power.sum())
    assert mean == pytest.approx(frequency, abs=0.15 * bandwidth + 0.1)
    assert width == pytest.approx(bandwidth, rel=0.35)


def test_a_rhythm_follows_its_envelope() -> None:
    envelope = np.repeat([0.0, 10.0], 2000)
    made = rhythm(generator(), envelope, 64, 10.0, 1.0)
    half = len(made) // 2
    assert np.abs(made[: half - 64]).max() == 0
    assert made[half + 64 :].std() == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("exponent", [1.0, 1.8])
def test_coloured_noise_falls_as_asked(exponent: float) -> None:
    made = coloured_noise(generator(), 128 * 3600, 128, exponent)
    frequencies, power = signal.welch(made, 128, nperseg=128 * 16)
    band = (frequencies > 2) & (frequencies < 40)
    slope = np.polyfit(np.log(frequencies[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.08)
    assert made.std() == pytest.approx(1, abs=1e-3)


def test_drift_remembers_as_long_as_asked() -> None:
    made = drift(generator(), 400_000, memory=25)
    assert made.std() == pytest.approx(1, abs=0.1)
    lag = 25 * GRID_RATE
    assert np.mean(made[lag:] * made[:-lag]) == pytest.approx(np.exp(-1), abs=0.1)


@given(st.floats(-3, 13), st.integers(1, 60))
def test_placed_shapes_are_cut_at_the_ends(time: float, length: int) -> None:
    target = np.zeros(100)
    place(target, [time], [np.ones(length)], rate=10)
    start = round(time * 10)
    inside = [i for i in range(start, start + length) if 0 <= i < 100]
    np.testing.assert_array_equal(np.flatnonzero(target), inside)


def test_overlapping_shapes_add_up() -> None:
    target = np.zeros(20)
    place(target, [0.0, 0.5], [np.ones(10), np.ones(10)], rate=10)
    np.testing.assert_array_equal(target, [1] * 5 + [2] * 5 + [1] * 5 + [0] * 5)


def test_streams_are_fixed_and_independent() -> None:
    def draw(*key: object) -> np.ndarray:
        return stream(*key).standard_normal(1000)  # type: ignore[arg-type]

    np.testing.assert_array_equal(draw(1, 2, "heart"), draw(1, 2, "heart"))
    others = [draw(1, 2, "brain"), draw(1, 3, "heart"), draw(2, 2, "heart"), draw(2, 1, "heart")]
    for other in others:
        assert abs(np.corrcoef(draw(1, 2, "heart"), other)[0, 1]) < 0.15
