"""Hypnograms: stages by time, on steps and epochs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.input_pipeline.hypnogram import Hypnogram, epochs, most_likely


def test_a_stage_lasts_from_its_start_to_before_its_stop() -> None:
    hypnogram = Hypnogram(
        np.array([0.0, 30, 60, 120]), np.array([30.0, 60, 90, 150]), np.array([0, 1, 2, 4], np.int8)
    )
    times = np.array([-1, 0, 29.9, 30, 65, 90, 119, 120, 149, 150])
    np.testing.assert_array_equal(hypnogram.at(times), [-1, 0, 0, 1, 2, -1, -1, 4, 4, -1])


def test_a_hypnogram_without_rows_scores_nothing() -> None:
    nothing = Hypnogram(np.empty(0), np.empty(0), np.empty(0, np.int8))
    np.testing.assert_array_equal(nothing.steps(3), [-1, -1, -1])


@pytest.mark.parametrize(("shift", "first"), [(2.4, 2), (2.6, -1)])
def test_a_step_has_the_stage_of_its_middle(shift: float, first: int) -> None:
    """A recording that began between epochs: its steps lie across the borders."""
    hypnogram = Hypnogram(
        np.array([0.0, 30]) + shift, np.array([30.0, 60]) + shift, np.array([2, 3], np.int8)
    )
    steps = hypnogram.steps(14)
    assert steps[0] == first
    late = 0 if first == 2 else 1
    np.testing.assert_array_equal(steps[late : 12 + late], [2] * 6 + [3] * 6)


@settings(max_examples=25, deadline=None)
@given(stages=st.lists(st.integers(-1, 4), min_size=1, max_size=20), more=st.integers(-5, 9))
def test_epochs_spread_to_six_steps_each(stages: list[int], more: int) -> None:
    steps = Hypnogram.of_epochs(np.array(stages)).steps(6 * len(stages) + more)
    whole = np.append(np.repeat(stages, 6), [-1] * 9)  # what is past the scoring is unscored
    np.testing.assert_array_equal(steps, whole[: len(steps)])


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 40), seed=st.integers(0, 99))
def test_an_epoch_is_the_mean_of_its_six_steps(count: int, seed: int) -> None:
    steps = np.random.default_rng(seed).dirichlet(np.ones(5), count)
    gathered = epochs(steps)
    expected = [steps[first : first + 6].mean(axis=0) for first in range(0, count, 6)]
    np.testing.assert_allclose(gathered, expected, rtol=1e-12)


def test_steps_that_are_not_known_do_not_count() -> None:
    steps = np.full((13, 5), np.nan)
    steps[3] = [0.1, 0.2, 0.4, 0.2, 0.1]
    steps[4] = [0.3, 0.2, 0.2, 0.2, 0.1]
    steps[12] = [0, 0, 0, 0, 1]
    gathered = epochs(steps)
    np.testing.assert_allclose(gathered[0], [0.2, 0.2, 0.3, 0.2, 0.1])
    assert np.isnan(gathered[1]).all()
    np.testing.assert_array_equal(most_likely(gathered), [2, -1, 4])
