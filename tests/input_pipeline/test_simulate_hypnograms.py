"""Hypnograms: plausible shares, N3 early and REM late, every stage in short nights, traits show."""

from dataclasses import replace

import numpy as np
import pytest

from sleepfm_jax.input_pipeline.simulation.cohort import night_subject
from sleepfm_jax.input_pipeline.simulation.hypnograms import Stage, draw_hypnogram
from sleepfm_jax.input_pipeline.simulation.streams import stream


def hypnograms(epochs: int, nights: int = 60, **traits: float) -> np.ndarray:
    """(nights, epochs)."""
    return np.stack(
        [
            draw_hypnogram(
                stream(5, night, "hypnogram"), replace(night_subject(5, night), **traits), epochs
            )
            for night in range(nights)
        ]
    )


def shares(stages: np.ndarray) -> np.ndarray:
    """(5,) of all epochs."""
    return np.bincount(stages.ravel(), minlength=5) / stages.size


def test_full_nights_have_the_shares_of_adults() -> None:
    wake, n1, n2, n3, rem = shares(hypnograms(960))
    assert 0.05 < wake < 0.20
    assert 0.05 < n1 < 0.16
    assert 0.35 < n2 < 0.55
    assert 0.12 < n3 < 0.27
    assert 0.13 < rem < 0.25


def test_deep_sleep_comes_early_and_dreams_late() -> None:
    stages = hypnograms(960)
    first, last = stages[:, :320], stages[:, -320:]
    assert shares(first)[Stage.N3] > 2 * shares(last)[Stage.N3]
    assert shares(last)[Stage.REM] > 1.5 * shares(first)[Stage.REM]


def test_rem_returns_about_every_90_minutes() -> None:
    onsets = []
    for stages in hypnograms(960, awakenings=0.01):
        rem = stages == Stage.REM
        starts = np.flatnonzero(rem[1:] & ~rem[:-1])
        onsets.extend(np.diff(starts) / 2)  # minutes
    assert 80 < np.median(onsets) < 100


@pytest.mark.parametrize("epochs", [60, 120, 240])
def test_short_nights_have_every_stage(epochs: int) -> None:
    for stages in hypnograms(epochs):
        assert np.bincount(stages, minlength=5).min() >= 2


@pytest.mark.parametrize("epochs", [1, 2, 7, 59])
def test_any_length_is_exact(epochs: int) -> None:
    assert hypnograms(epochs, nights=5).shape == (5, epochs)


def test_nights_begin_awake_and_enter_sleep_through_n1() -> None:
    for stages in hypnograms(240):
        assert stages[0] == Stage.WAKE
        asleep = np.flatnonzero(stages)[0]
        assert stages[asleep] == Stage.N1


def test_traits_show() -> None:
    calm, restless = (shares(hypnograms(480, awakenings=rate)) for rate in (1, 10))
    assert restless[Stage.WAKE] > 1.5 * calm[Stage.WAKE]
    light, deep = (shares(hypnograms(480, deep_sleep=factor)) for factor in (0.5, 1.6))
    assert deep[Stage.N3] > 2 * light[Stage.N3]
