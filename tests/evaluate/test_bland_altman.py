"""Limits of agreement are those of their definition."""

import numpy as np
import pytest

from sleepfm_jax.evaluate.bland_altman import limits


def test_limits_hold_95_percent_of_normal_differences() -> None:
    draw = np.random.default_rng(0)
    reference = draw.normal(400, 60, 20000)
    measured = reference + draw.normal(-5, 10, 20000)
    found = limits(reference, measured)
    assert found.bias == pytest.approx(-5, abs=0.3)
    inside = (measured - reference >= found.lower) & (measured - reference <= found.upper)
    assert inside.mean() == pytest.approx(0.95, abs=0.005)
    assert found.count == 20000


def test_pairs_that_are_not_known_do_not_count() -> None:
    found = limits(np.array([1.0, np.nan, 3, 4]), np.array([2.0, 5, np.nan, 7]))
    assert (found.bias, found.count) == (2, 2)
    assert found.upper == pytest.approx(2 + 1.96 * np.sqrt(2))
    one = limits(np.array([1.0]), np.array([2.0]))
    assert (one.bias, one.count) == (1, 1)
    assert np.isnan([one.lower, one.upper]).all()
    assert np.isnan(limits(np.array([np.nan]), np.array([1.0])).bias)
