"""True risks are calibrated, wrong ones are not, and groups are what they say."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from sleepfm_jax.evaluate import calibration, survival
from sleepfm_jax.evaluate.calibration import Calibration

HORIZON = 6.0


def cohort(seed: int, N: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True log hazards (N,), and times and events under censoring."""
    draw = np.random.default_rng(seed)
    log_hazard = draw.standard_normal(N)
    onset = draw.exponential(np.exp(-log_hazard)) * 20
    end = draw.uniform(2, 15, N)
    return log_hazard, np.minimum(onset, end), onset <= end


def calibrated(log_hazard: np.ndarray, time: np.ndarray, event: np.ndarray) -> Calibration:
    columns = (log_hazard[:, None], time[:, None], event[:, None])
    risk = survival.risk(log_hazard[:, None], *survival.baseline(*columns), HORIZON)
    return calibration.calibration(risk[:, 0], time, event, HORIZON)


def test_true_hazards_are_calibrated_with_the_baseline_of_others() -> None:
    train, held_out = cohort(0), cohort(1)
    times, cumulative = survival.baseline(*(array[:, None] for array in train))
    risk = survival.risk(held_out[0][:, None], times, cumulative, HORIZON)[:, 0]
    found = calibration.calibration(risk, held_out[1], held_out[2], HORIZON)
    assert found.subjects.tolist() == [800] * 5
    np.testing.assert_allclose(found.observed, found.predicted, atol=0.05)
    assert ((found.lower < found.predicted) & (found.predicted < found.upper)).sum() >= 4
    expected = 1 - np.exp(-HORIZON / 20 * np.exp(held_out[0]))
    np.testing.assert_allclose(risk, expected, atol=0.03)


def test_exaggerated_hazards_are_not_calibrated() -> None:
    log_hazard, time, event = cohort(2)
    baseline = survival.baseline(*(array[:, None] for array in (log_hazard, time, event)))
    risk = survival.risk(3 * log_hazard[:, None], *baseline, HORIZON)[:, 0]
    found = calibration.calibration(risk, time, event, HORIZON)
    assert found.predicted[0] < found.lower[0]
    assert found.predicted[-1] > found.upper[-1]


def test_a_group_is_what_lifelines_says_of_it() -> None:
    log_hazard, time, event = cohort(3, 200)
    found = calibrated(log_hazard, time, event)
    lowest = log_hazard <= np.sort(log_hazard)[39]
    theirs = KaplanMeierFitter().fit(time[lowest], event[lowest])
    assert found.observed[0] == pytest.approx(1 - float(theirs.predict(HORIZON)))
    limits = 1 - theirs.confidence_interval_.loc[:HORIZON].iloc[-1].to_numpy()
    np.testing.assert_allclose([found.upper[0], found.lower[0]], limits, rtol=1e-9)
    assert found.events[0] == (event & (time <= HORIZON))[lowest].sum()
    assert found.events.sum() == (event & (time <= HORIZON)).sum() < event.sum()


def test_a_group_that_nobody_followed_has_no_observed_risk() -> None:
    risk, time = np.linspace(0.1, 0.9, 10), np.full(10, 9.0)
    time[:2] = 3
    found = calibration.calibration(risk, time, np.zeros(10, bool), HORIZON)
    assert np.isnan(found.observed).tolist() == [True, False, False, False, False]
    assert found.observed[1] == 0
    alike = calibration.calibration(np.full(10, 0.5), time, np.zeros(10, bool), HORIZON)
    assert alike.subjects.tolist() == [0, 0, 10, 0, 0]
    assert np.isnan(alike.predicted[[0, 1, 3, 4]]).all()


def test_groups_are_equal_in_size_and_keep_ties_together() -> None:
    score = np.random.default_rng(0).permutation(53).astype(float)
    group = survival.groups(score, 5)
    assert set(np.bincount(group)) == {10, 11}
    assert (np.diff(group[np.argsort(score)]) >= 0).all()
    tied = survival.groups(np.array([0, 0, 0, 0, 0, 0, 1, 2, 3, 4.0]), 5)
    assert len(set(tied[:6])) == 1
    assert tied[-1] == 4
