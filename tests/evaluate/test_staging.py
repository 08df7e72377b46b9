"""Agreement is scikit-learn's, for any hypnograms; subjects are what is resampled."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from sleepfm_jax.evaluate import bootstrap, staging
from sleepfm_jax.evaluate.staging import Night


def night(
    seed: int, K: int = 200, right: float = 0.7, subject: str = "s", cohort: str = "c"
) -> Night:
    draw = np.random.default_rng(seed)
    truth = draw.choice([-1, 0, 1, 2, 3, 4], K, p=[0.05, 0.2, 0.1, 0.35, 0.15, 0.15])
    guess = draw.integers(0, 5, K)
    return Night(subject, cohort, truth, np.where(draw.random(K) < right, truth, guess))


@settings(deadline=None, max_examples=30)
@given(
    truth=st.lists(st.integers(-1, 4), min_size=1, max_size=30),
    seed=st.integers(0, 1000),
    stages=st.sets(st.integers(-1, 4), min_size=1),
)
def test_numbers_are_those_of_scikit_learn(truth: list[int], seed: int, stages: set[int]) -> None:
    prediction = np.random.default_rng(seed).choice(sorted(stages), len(truth))
    found = staging.evaluate([Night("s", "c", np.array(truth), prediction)], resamples=0)
    both = (np.array(truth) >= 0) & (prediction >= 0)
    y, told = np.array(truth)[both], prediction[both]
    if not len(y):
        assert np.isnan(list(found.values.values())).all()
        assert set(found.reasons.values()) == {"no step is scored in both"}
        return
    np.testing.assert_array_equal(
        found.confusion, metrics.confusion_matrix(y, told, labels=range(5))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [
            metrics.accuracy_score(y, told),
            metrics.f1_score(y, told, average="macro"),
            metrics.cohen_kappa_score(y, told),
            *metrics.f1_score(y, told, labels=range(5), average=None, zero_division=np.nan),
        ]
    np.testing.assert_allclose(list(found.values.values()), expected, rtol=1e-12, atol=1e-15)
    named = {name for name, value in found.values.items() if np.isnan(value)}
    assert set(found.reasons) == named


def test_nights_of_a_subject_are_drawn_together() -> None:
    """As many nights of one subject as one likes say no more about another."""
    apart = [night(n, subject=f"s{n % 20}", right=0.4 + 0.02 * (n % 20)) for n in range(80)]
    subjects = staging.evaluate(apart)
    merged = [
        Night(
            f"s{s}",
            "c",
            np.concatenate([n.truth for n in apart[s::20]]),
            np.concatenate([n.prediction for n in apart[s::20]]),
        )
        for s in range(20)
    ]
    again = staging.evaluate(merged)
    assert (subjects.subjects, subjects.nights, again.nights) == (20, 80, 20)
    assert subjects.values == again.values
    widths = [np.diff(subjects.intervals[name])[0] for name in subjects.values]
    order = sorted(f"s{s}" for s in range(20))
    assert order != [f"s{s}" for s in range(20)]
    np.testing.assert_allclose(
        widths, [np.diff(again.intervals[name])[0] for name in again.values], rtol=1e-12
    )
    alone = staging.evaluate(
        [Night(str(i), n.cohort, n.truth, n.prediction) for i, n in enumerate(apart)]
    )
    assert np.diff(alone.intervals["accuracy"]) < 0.8 * np.diff(subjects.intervals["accuracy"])


def test_resamples_are_those_of_subjects_repeated() -> None:
    nights = [night(n, 40, subject=f"{n}") for n in range(6)]
    found = staging.evaluate(nights, resamples=30, seed=5, level=0.5)
    counts = bootstrap.multiplicities(6, 30, 5).astype(int)
    drawn = [
        staging.evaluate([n for n, c in zip(nights, column, strict=True) for _ in range(c)], 0)
        for column in counts.T[1:]
    ]
    for name, limits in found.intervals.items():
        expected = np.quantile([d.values[name] for d in drawn], [0.25, 0.75])
        np.testing.assert_allclose(limits, expected, rtol=1e-12)


def test_cohorts_stand_apart_and_pooled() -> None:
    nights = [night(n, subject=f"{n % 5}", cohort="ab"[n // 5]) for n in range(10)]
    found = staging.by_cohort(nights, resamples=50)
    assert list(found) == ["a", "b", "pooled"]
    assert [f.subjects for f in found.values()] == [5, 5, 10]
    np.testing.assert_array_equal(
        found["a"].confusion + found["b"].confusion, found["pooled"].confusion
    )
    assert list(staging.by_cohort(nights[:5])) == ["a"]


def test_what_cannot_be_said_has_its_reason() -> None:
    flat = Night("s", "c", np.zeros(10, int), np.zeros(10, int))
    found = staging.evaluate([flat])
    assert found.values["accuracy"] == found.values["macro-F1"] == found.values["F1 Wake"] == 1
    assert found.reasons["kappa"] == "scoring and prediction hold one stage alone"
    assert found.reasons["F1 REM"] == "REM is neither in the scoring nor predicted"
    assert found.reasons["accuracy"] == "no interval: one subject cannot be resampled"
    assert np.isnan(found.intervals["accuracy"]).all()
    with pytest.raises(ValueError, match="no night"):
        staging.evaluate([])


@pytest.mark.parametrize(
    ("truth", "prediction", "said"),
    [([0, 1], [0], r"\(2,\) stages cannot"), ([0, 5], [0, 0], "5 found"), ([-2], [0], "-2 to")],
)
def test_what_is_no_stage_is_refused(truth: list[int], prediction: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        staging.confusion(np.array(truth), np.array(prediction))
