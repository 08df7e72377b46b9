"""C-indices are those of lifelines and scikit-survival, in every resample; chance is not a find."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index
from sksurv.metrics import concordance_index_censored

from sleepfm_jax.evaluate import bootstrap, concordance, pairs
from tests.evaluate.small_cohort import follow_up


def by_lifelines(score: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    known = time >= 0
    return float(concordance_index(time[known], -score[known], event[known]))


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    N=st.integers(20, 90),
    share=st.sampled_from([0.3, 1.0]),
    rows=st.sampled_from([1, 7, 128]),
)
def test_equal_to_lifelines_and_scikit_survival(seed: int, N: int, share: float, rows: int) -> None:
    score, time, event = follow_up(seed, N, 3, share)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "ROWS", rows)
        found = concordance.concordance(score, time, event)
    for label, why in enumerate(concordance.reasons(score, time, event)):
        if why:
            assert np.isnan(found[label])
            continue
        column = (score[:, label], time[:, label], event[:, label])
        assert found[label] == by_lifelines(*column)
        known = time[:, label] >= 0
        theirs = concordance_index_censored(*(a[known] for a in (column[2], column[1], column[0])))
        assert found[label] == theirs[0]


def test_a_resample_is_the_cohort_with_its_subjects_repeated() -> None:
    score, time, event = follow_up(1, 60, 2)
    counts = bootstrap.multiplicities(60, 25, seed=3)
    found = concordance.resampled(score, time, event, counts)
    assert found.shape == (2, 26)
    for r in range(26):
        drawn = np.repeat(np.arange(60), counts[:, r].astype(int))
        for label in range(2):
            expected = by_lifelines(score[drawn, label], time[drawn, label], event[drawn, label])
            assert found[label, r] == expected


def test_scores_that_float32_cannot_tell_apart_are_told_apart() -> None:
    score = np.array([[1.0 + 1e-12], [1.0]])
    time, event = np.array([[1.0], [2.0]]), np.array([[True], [False]])
    assert concordance.concordance(score, time, event) == [1.0]
    assert concordance.concordance(-score, time, event) == [0.0]
    assert concordance.concordance(0 * score, time, event) == [0.5]


def test_labels_without_a_c_index_say_why() -> None:
    time = np.array([[3, -1, 5, 3, 3, np.nan], [3, -1, 5, 4, 9, 4], [3, -1, 2, 5, 9, 5]], float)
    event = np.array([[0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]], bool)
    score = np.array([[1, 1, 1, 1, np.nan, np.nan]] * 3)
    score[:, 5] = [np.nan, 1, 0]  # the subject without a score has no known time
    found = concordance.concordance(score, time, event)
    assert np.isnan(found).tolist() == [True, True, False, False, True, False]
    assert found[5] == 1
    assert concordance.reasons(score, time, event) == (
        "no event",
        "no outcome is known",
        "",
        "",
        "a log hazard is no number",
        "",
    )
    event[0, 2], event[1, 2] = False, False
    last = np.array([[1.0], [5.0]]), np.array([[False], [True]])
    assert np.isnan(concordance.concordance(np.zeros((2, 1)), *last)).all()
    assert "no comparable pair" in concordance.reasons(np.zeros((2, 1)), *last)[0]


def test_the_error_of_chance_is_that_of_shuffled_scores() -> None:
    _, time, event = follow_up(4, 40, 3, share=0.3)
    draw = np.random.default_rng(0)
    shuffled = np.stack([draw.permutation(40) for _ in range(1500)], axis=1)  # (N, shuffles)
    for label in range(3):
        columns = [np.repeat(array[:, [label]], 1500, axis=1) for array in (time, event)]
        spread = concordance.concordance(shuffled, *columns).std()
        error = concordance.null_error(time[:, [label]], event[:, [label]])
        np.testing.assert_allclose(spread, error, rtol=0.08)


@pytest.mark.parametrize("cases", [2, 12])
def test_chance_is_significant_as_often_as_it_says(cases: int) -> None:
    """With few events above all, where the bootstrap alone says p < 0.05 far too often."""
    draw = np.random.default_rng(cases)
    N, L = 80, 600
    time = draw.permuted(np.tile(np.arange(1.0, N + 1), (L, 1)), axis=1).T
    event = np.argsort(draw.random((N, L)), axis=0) < cases
    score = draw.standard_normal((N, L))
    samples = concordance.resampled(score, time, event, bootstrap.multiplicities(N, 60))
    reasons = concordance.reasons(score, time, event)
    found = concordance.evaluate(samples, time, event, reasons)
    assert np.mean(found.p[np.isfinite(found.p)] < 0.05) < 0.08
    assert np.nanmin(found.p_bonferroni) > 0.02
    assert np.nanmin(found.q) > 0.02
    assert np.isnan(found.lower).all() == (cases < concordance.FEWEST_EVENTS)
    if cases < concordance.FEWEST_EVENTS:
        assert f"no interval: {cases} events are too few" in found.reasons


def test_a_real_difference_passes_the_correction_for_a_thousand_labels() -> None:
    score, time, event = follow_up(0, 400, 4, levels=1000)
    noise = np.random.default_rng(1).standard_normal(score.shape)
    counts = bootstrap.multiplicities(400, 200)
    samples = concordance.resampled(score, time, event, counts)
    reasons = concordance.reasons(score, time, event)
    found = concordance.evaluate(samples, time, event, reasons)
    assert (found.lower < found.estimate).all()
    assert (found.estimate < found.upper).all()
    assert (found.p * 1065 < 0.05).all()
    assert found.reasons == ("",) * 4
    worse = concordance.resampled(score + 3 * noise, time, event, counts)
    paired = concordance.difference(samples, worse, event, reasons)
    np.testing.assert_allclose(paired.estimate, samples[:, 0] - worse[:, 0])
    assert (paired.lower > 0).all()
    same = concordance.difference(samples, samples, event, reasons)
    assert (same.estimate == 0).all()
    assert np.isnan(same.p).all()  # no spread, no test


def test_paired_resamples_tell_models_apart_that_their_intervals_do_not() -> None:
    score, time, event = follow_up(7, 300, 3, levels=1000)
    close = score + 0.4 * np.random.default_rng(2).standard_normal(score.shape)
    counts = bootstrap.multiplicities(300, 200)
    one, other = (concordance.resampled(s, time, event, counts) for s in (score, close))
    paired = bootstrap.standard_error((one - other)[:, 1:])
    apart = np.hypot(*(bootstrap.standard_error(s[:, 1:]) for s in (one, other)))
    assert (paired < 0.7 * apart).all()


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        concordance.concordance(np.zeros((3, 2)), np.zeros((3, 1)), np.zeros((3, 1), bool))


def test_an_error_in_a_thread_comes_out_and_progress_is_told() -> None:
    done: list[None] = []
    assert pairs.each_label(lambda label: label**2, 5, lambda: done.append(None)) == [
        0,
        1,
        4,
        9,
        16,
    ]
    assert len(done) == 5
    with pytest.raises(ZeroDivisionError):
        pairs.each_label(lambda label: 1 / (label - 3), 5)
    nobody = np.zeros((0, 2))
    assert np.isnan(concordance.concordance(nobody, nobody, nobody.astype(bool))).all()
