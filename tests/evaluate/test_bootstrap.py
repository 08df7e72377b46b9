"""Draws are draws with replacement; intervals and corrections are those of their definitions."""

import numpy as np
import pytest
from scipy import stats

from sleepfm_jax.evaluate import bootstrap, significance


def test_every_resample_has_as_many_subjects_as_the_cohort() -> None:
    counts = bootstrap.multiplicities(200, 500, seed=1)
    assert counts.shape == (200, 501)
    assert (counts[:, 0] == 1).all()
    assert (counts.sum(axis=0) == 200).all()
    np.testing.assert_array_equal(counts, bootstrap.multiplicities(200, 500, seed=1))
    assert (counts != bootstrap.multiplicities(200, 500, seed=2)).any()
    missing = (counts[:, 1:] == 0).mean()
    assert missing == pytest.approx((1 - 1 / 200) ** 200, abs=0.005)
    assert bootstrap.multiplicities(0, 3).shape == (0, 4)


def test_the_interval_of_a_mean_is_the_textbooks() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    samples = values @ bootstrap.multiplicities(400, 4000)[:, 1:] / 400  # (R,)
    low, high = bootstrap.interval(samples)
    error = values.std() / 20
    assert bootstrap.standard_error(samples) == pytest.approx(error, rel=0.05)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.06)
    narrow = np.diff(bootstrap.interval(samples, level=0.5))
    assert narrow == pytest.approx(2 * 0.674 * error, rel=0.08)


def test_resamples_without_the_number_are_left_out() -> None:
    samples = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    assert bootstrap.interval(samples, 0.5)[:, 0].tolist() == [1.5, 2.5]
    assert np.isnan(bootstrap.interval(samples)[:, 1]).all()
    np.testing.assert_array_equal(bootstrap.standard_error(samples), [1, np.nan])
    with pytest.raises(ValueError, match="level 95"):
        bootstrap.interval(samples, 95)


def test_p_values_reach_below_what_counting_can() -> None:
    p = significance.z_test(np.array([0, 1.959964, -1.959964, 10, 1]), np.array([1, 1, 1, 1, 0]))
    np.testing.assert_allclose(p[:3], [1, 0.05, 0.05], rtol=1e-6)
    np.testing.assert_allclose(p[3], 2 * stats.norm.sf(10), rtol=1e-10)
    assert np.isnan(p[4])


def test_corrections_are_for_the_labels_that_were_tested() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(significance.bonferroni(p), [0.04, np.nan, 0.16, 0.12, 1])
    expected = [0.04, np.nan, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5]  # p · 4 / rank, from the last down
    np.testing.assert_allclose(significance.benjamini_hochberg(p), expected)
    assert np.isnan(significance.benjamini_hochberg(np.array([np.nan]))).all()
