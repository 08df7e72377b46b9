"""Kaplan–Meier, Breslow and the AUROC at a horizon are those of scikit-survival."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sksurv.linear_model.coxph import BreslowEstimator
from sksurv.metrics import cumulative_dynamic_auc
from sksurv.nonparametric import kaplan_meier_estimator
from sksurv.util import Surv

from sleepfm_jax.evaluate import auroc, bootstrap, calibration, survival
from tests.evaluate.small_cohort import follow_up

HORIZON = 15.0  # of 30 days


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), N=st.integers(8, 60))
def test_kaplan_meier_is_that_of_scikit_survival(seed: int, N: int) -> None:
    _, (time,), (event,) = (array.T for array in follow_up(seed, N, 1))
    known = time >= 0
    times, survived, limits = kaplan_meier_estimator(event[known], time[known], conf_type="log-log")
    found = survival.kaplan_meier(time, event)
    np.testing.assert_array_equal(found.times, times)
    np.testing.assert_allclose(found.survival, survived, rtol=1e-12, atol=1e-15)
    for k, day in enumerate(times):
        assert found.at_risk[k] == (time >= day).sum()
        assert found.events[k] == event[time == day].sum()
        alive, error = found.at(day)
        if 0 < alive < 1:
            np.testing.assert_allclose(calibration.interval(alive, error), limits[:, k], rtol=1e-9)


def test_survival_beyond_the_follow_up_is_not_known() -> None:
    curve = survival.kaplan_meier(np.array([1.0, 2, 2, 4, -1]), np.array([1, 0, 1, 0, 0], bool))
    assert curve.at(0.5) == (1, 0)
    assert curve.at(1.5)[0] == pytest.approx(3 / 4)
    assert curve.at(4)[0] == pytest.approx(1 / 2)
    assert np.isnan(curve.at(4.1)).all()
    gone = survival.kaplan_meier(np.array([1.0, 2]), np.array([True, True]))
    assert gone.at(100)[0] == 0
    assert np.isnan(survival.kaplan_meier(np.array([-1.0]), np.array([False])).at(1)).all()


def test_the_baseline_is_that_of_scikit_survival() -> None:
    score, time, event = follow_up(3, 80, 2)
    times, cumulative = survival.baseline(score, time, event)
    assert (np.diff(times) > 0).all()
    for label in range(2):
        known = time[:, label] >= 0
        theirs = BreslowEstimator().fit(
            score[known, label], event[known, label], time[known, label]
        )
        expected = theirs.cum_baseline_hazard_
        inside = times >= expected.x[0]
        np.testing.assert_allclose(cumulative[inside, label], expected(times[inside]), rtol=1e-12)
        assert (cumulative[~inside, label] == 0).all()
        alive = theirs.get_survival_function(score[:4, label])
        risk = survival.risk(score[:4], times, cumulative, HORIZON)[:, label]
        np.testing.assert_allclose(risk, [1 - curve(HORIZON) for curve in alive], rtol=1e-12)


def test_a_baseline_on_a_grid_is_the_same_at_its_times() -> None:
    score, time, event = follow_up(4, 80, 2)
    times, cumulative = survival.baseline(score, time, event)
    grid = np.array([0.0, 7.5, 30, 300])
    same, coarse = survival.baseline(score, time, event, grid)
    np.testing.assert_array_equal(same, grid)
    for k, day in enumerate(grid):
        fine = cumulative[times <= day]
        np.testing.assert_array_equal(coarse[k], fine[-1] if len(fine) else 0)


def test_a_shift_of_all_hazards_moves_the_baseline_and_no_risk() -> None:
    score, time, event = follow_up(5, 60, 2)
    risk = survival.risk(score, *survival.baseline(score, time, event), HORIZON)
    moved = survival.risk(score + 300, *survival.baseline(score + 300, time, event), HORIZON)
    np.testing.assert_allclose(moved, risk, rtol=1e-9)
    assert ((risk > 0) & (risk < 1)).all()


def test_a_label_without_events_has_no_risk() -> None:
    score, time, event = follow_up(6, 30, 2)
    event[:, 1] = False
    times, cumulative = survival.baseline(score, time, event)
    risk = survival.risk(score, times, cumulative, HORIZON)
    assert np.isnan(risk[:, 1]).all()
    assert np.isfinite(risk[:, 0]).all()
    nothing = survival.baseline(score, time, np.zeros_like(event))
    assert np.isnan(survival.risk(score, *nothing, HORIZON)).all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), N=st.integers(40, 90))
def test_auroc_is_that_of_scikit_survival(seed: int, N: int) -> None:
    score, time, event = follow_up(seed, N, 1)
    (found,) = auroc.auroc(score, time, event, HORIZON)[:, 0]
    known = time[:, 0] >= 0
    late = time[known, 0] > HORIZON  # cut there: censoring later on plays no part
    cut = np.where(late, HORIZON + 1, time[known, 0])
    there = Surv.from_arrays(event[known, 0] & ~late, cut)
    theirs, _ = cumulative_dynamic_auc(there, there, score[known, 0], HORIZON)
    np.testing.assert_allclose(found, theirs[0], rtol=1e-12)


def test_auroc_without_censoring_is_the_plain_one() -> None:
    score = np.round(np.random.default_rng(0).standard_normal((50, 1)), 1)
    time = np.where(np.random.default_rng(1).random((50, 1)) < 0.3, 5.0, 25.0)
    found = auroc.auroc(score, time, time < HORIZON, HORIZON)
    np.testing.assert_allclose(found, [[roc_auc_score(time[:, 0] < HORIZON, score[:, 0])]])


def test_resampled_auroc_repeats_its_subjects() -> None:
    score = np.round(np.random.default_rng(2).standard_normal((40, 1)), 1)
    time = np.where(np.random.default_rng(3).random((40, 1)) < 0.3, 5.0, 25.0)
    counts = bootstrap.multiplicities(40, 5)
    found = auroc.auroc(score, time, time < HORIZON, HORIZON, counts)
    for r in range(6):
        drawn = np.repeat(np.arange(40), counts[:, r].astype(int))
        alone = auroc.auroc(score[drawn], time[drawn], time[drawn] < HORIZON, HORIZON)
        np.testing.assert_allclose(found[:, r], alone[:, 0])


def test_auroc_says_why_there_is_none() -> None:
    score = np.array([1.0, 2.0, 3.0])
    event = np.array([True, False, False])
    late, short, fine = np.array([20.0, 30, 30]), np.array([5.0, 10, 10]), np.array([5.0, 20, -1])
    assert auroc.reason(score, late, event, HORIZON) == "no event by the horizon"
    assert auroc.reason(score, short, event, HORIZON) == "nobody is followed beyond the horizon"
    assert auroc.reason(score, fine, event, HORIZON) == ""
    assert (
        auroc.reason(np.array([1, np.nan, 0]), fine, event, HORIZON) == "a log hazard is no number"
    )
    assert auroc.reason(np.array([1, 0, np.nan]), fine, event, HORIZON) == ""
    found = auroc.auroc(score[:, None], late[:, None], event[:, None], HORIZON)
    assert np.isnan(found).all()
