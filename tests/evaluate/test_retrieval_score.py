"""Numbers of ranks, what guessing would give, and intervals, all by hand or by drawing."""

import numpy as np
import pytest

from sleepfm_jax.evaluate import bootstrap, retrieval_score
from sleepfm_jax.evaluate.retrieval_score import Score, chance, intervals, score


def scored(ranks: list[int], size: int = 20) -> Score:
    return score(np.array(ranks, np.int32), np.full(len(ranks), size), np.arange(len(ranks)))


def test_numbers_are_those_of_their_definitions() -> None:
    found = scored([1, 1, 4, 5, 6, 10, 11, 20])
    assert found.numbers() == {
        "top1": 0.25, "top5": 0.5, "top10": 0.75, "median_rank": 5.5, "candidates": 20
    }  # fmt: skip
    none = scored([])
    assert (none.candidates, none.queries) == (0, 0)
    assert np.isnan([none.top1, none.median_rank, *none.chance.values()]).all()


def test_chance_is_that_of_drawn_ranks() -> None:
    assert chance(np.full(5, 100)) == pytest.approx(
        {"top1": 0.01, "top5": 0.05, "top10": 0.1, "median_rank": 50.5}
    )
    sizes = np.array([4, 30, 30, 100])
    found = chance(sizes)
    assert found["top1"] == pytest.approx((1 / 4 + 2 / 30 + 1 / 100) / 4)
    assert found["top10"] == pytest.approx((1 + 2 / 3 + 1 / 10) / 4)
    draws = np.random.default_rng(0).integers(1, sizes + 1, (40_000, 4))
    assert found["median_rank"] == pytest.approx(np.median(draws), abs=0.5)
    assert chance(np.full(3, 4))["top10"] == 1


def test_intervals_are_those_of_subjects_drawn_one_by_one() -> None:
    draw = np.random.default_rng(1)
    subject = np.repeat(["a", "b", "c", "d", "e", "f"], 30)
    ranks = draw.integers(1, 21, 180) * (1 + np.arange(180) // 30) // 3 + 1
    rows = draw.permutation(180)
    found = score(ranks[rows].astype(np.int32), np.full(180, 50), rows)
    limits = intervals(found, subject, resamples=2000)
    own = [ranks[subject == name] for name in "abcdef"]
    samples = [np.concatenate([own[k] for k in draw.integers(0, 6, 6)]) for _ in range(2000)]
    for name, number in {
        "top5": lambda drawn: np.mean(drawn <= 5),
        "top10": lambda drawn: np.mean(drawn <= 10),
        "median_rank": np.median,
    }.items():
        expected = np.quantile([number(sample) for sample in samples], [0.025, 0.975])
        spread = expected[1] - expected[0]
        np.testing.assert_allclose(limits[name], expected, atol=0.15 * spread)
        assert limits[name][0] <= getattr(found, name) <= limits[name][1]
        assert spread > 0


def test_one_subject_has_no_interval() -> None:
    found = scored([1, 2, 3])
    assert np.isnan(list(intervals(found, np.zeros(3)).values())).all()
    assert np.isnan(list(intervals(scored([]), np.zeros(3)).values())).all()
    assert np.isnan(list(intervals(found, np.arange(3), resamples=0).values())).all()


@pytest.mark.parametrize("N", [1, 2, 7, 40])
def test_medians_of_resamples_are_those_of_repeated_ranks(N: int) -> None:
    draw = np.random.default_rng(N)
    ranks, own = draw.integers(1, 9, N), np.append(np.arange(4), draw.integers(0, 4, N))[-N:]
    counts = bootstrap.multiplicities(4, 90, N)
    counts[own.min(), counts[np.unique(own)].sum(axis=0) == 0] = 1  # no resample is empty
    found = retrieval_score._medians(ranks, own, counts)
    expected = [np.median(np.repeat(ranks, weight.astype(int))) for weight in counts.T[:, own]]
    assert found.tolist() == expected
