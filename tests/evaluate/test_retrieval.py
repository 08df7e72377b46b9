"""Retrieval counts what it says, for any embeddings; collapse scores nothing."""

import tracemalloc

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax import losses
from sleepfm_jax.evaluate import ranking
from sleepfm_jax.evaluate.candidates import Candidates
from sleepfm_jax.evaluate.retrieval import Score, others, pair, retrieval, spread

NAMES = ["BAS", "RESP", "EKG", "EMG"]


def windows(
    seed: int, N: int, agree: float = 1.0, missing: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings whose modalities share a part, and which of them are there."""
    draw = np.random.default_rng(seed)
    common = agree * draw.standard_normal((N, 1, 6))
    return common + draw.standard_normal((N, 4, 6)), draw.random((N, 4)) > missing


def plain_rank(query: np.ndarray, keys: np.ndarray, own: int) -> int:
    """1 + the other keys that are as near, one after the other."""
    near = float(query @ keys[own])
    return 1 + sum(float(query @ keys[k]) >= near for k in range(len(keys)) if k != own)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), N=st.integers(0, 12))
def test_scores_are_those_of_plain_counting(seed: int, N: int) -> None:
    embeddings, present = windows(seed, N)
    found = retrieval(embeddings, present)
    unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    for m in range(4):
        rows = [n for n in range(N) if present[n, m] and present[n].sum() > 1]
        keys = np.array(
            [np.mean([unit[n, k] for k in range(4) if k != m and present[n, k]], 0) for n in rows]
        )
        expected = [plain_rank(unit[n, m], keys, own) for own, n in enumerate(rows)]
        assert_scored(found.leave_one_out[m], rows, expected)
        for j in {0, 1, 2, 3} - {m}:
            both = [n for n in range(N) if present[n, m] and present[n, j]]
            expected = [plain_rank(unit[n, m], unit[both, j], own) for own, n in enumerate(both)]
            assert_scored(found.pairs[m, j], both, expected)


def assert_scored(found: Score, rows: list[int], expected: list[int]) -> None:
    if len(rows) == 1:  # which has nothing to be told apart from
        assert (found.queries, found.left_out) == (0, 1)
        return
    assert found.candidates == found.queries == len(expected)
    assert (found.rows.tolist(), found.ranks.tolist()) == (rows, expected)


@pytest.mark.parametrize("among", ["night", "all"])
def test_groups_are_those_of_both_directions(among: str) -> None:
    """Each query's rank is the plain one in its group, drawn among windows that have both sides."""
    embeddings, present = windows(4, 60)
    nights = np.random.default_rng(4).integers(0, 3, 60)
    drawn = Candidates(7, nights if among == "night" else None, seed=1)
    found = retrieval(embeddings, present, drawn)
    unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    for i, j in ((0, 2), (2, 0)):
        both = np.flatnonzero(present[:, i] & present[:, j])
        groups = drawn.groups(both)
        score = found.pairs[i, j]
        assert (score.candidates, score.queries) == (7, (groups >= 0).sum())
        assert score.left_out == (groups < 0).sum() > 0
        assert score.rows.tolist() == both[groups >= 0].tolist()
        for row, rank in zip(score.rows, score.ranks, strict=True):
            own = both[groups == groups[both == row]].tolist()
            assert rank == plain_rank(unit[row, i], unit[own, j], own.index(row))


def test_top1_is_the_accuracy_of_the_losses() -> None:
    """Training and validation mean the same by the same words."""
    embeddings, present = windows(0, 64)
    with jax.enable_x64(True):
        loss = jax.jit(losses.leave_one_out)(embeddings, present, 0.0)
        pairs = jax.jit(losses.pairwise)(embeddings, present, 0.0)
    found = retrieval(embeddings, present)
    expected = [score.top1 for score in found.leave_one_out]
    assert 0.1 < min(expected) < max(expected) < 0.9
    np.testing.assert_allclose(loss.accuracy[:, 0], expected)
    for (i, j), accuracy in zip(losses.pairs(4), pairs.accuracy, strict=True):
        np.testing.assert_allclose(accuracy, [found.pairs[i, j].top1, found.pairs[j, i].top1])


def test_a_perfect_model_finds_everything() -> None:
    embeddings = np.repeat(windows(1, 50)[0][:, :1], 4, axis=1)
    found = retrieval(embeddings, np.ones((50, 4), bool))
    for one in (*found.leave_one_out, *found.pairs.values()):
        assert list(one.numbers().values()) == [1, 1, 1, 1, 50]


@pytest.mark.parametrize("noise", [0, 1e-7])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_collapsed_model_finds_nothing(noise: float, dtype: type) -> None:
    """Not even by the rounding of products, which may favour the diagonal."""
    draw = np.random.default_rng(2)
    embeddings = np.broadcast_to(draw.standard_normal(128), (300, 4, 128)).astype(dtype)
    embeddings = embeddings + (noise * draw.standard_normal(embeddings.shape)).astype(dtype)
    found = retrieval(embeddings, np.ones((300, 4), bool))
    for one in (*found.leave_one_out, *found.pairs.values()):
        assert list(one.numbers().values()) == [0, 0, 0, 300, 300]
    np.testing.assert_allclose(spread(embeddings, np.ones((300, 4), bool)), 0, atol=1e-5)


def test_guessing_is_chance() -> None:
    embeddings, present = windows(3, 1000, agree=0, missing=0)
    found = retrieval(embeddings, present)
    metrics, chance = found.metrics(NAMES), found.pairs[0, 1].chance
    assert metrics["candidates"] == 1000
    assert metrics["top1"] < 4 * chance["top1"]  # 0.001 ± 0.0005
    assert abs(metrics["top5"] - chance["top5"]) < 0.004
    assert abs(metrics["top10"] - chance["top10"]) < 0.006
    assert abs(metrics["median_rank"] - chance["median_rank"]) < 50


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_order_scale_and_what_is_absent_do_not_matter(seed: int) -> None:
    embeddings, present = windows(seed, 20)
    draw = np.random.default_rng(seed)
    order = draw.permutation(20)
    changed = embeddings * draw.uniform(0.1, 10, (20, 4, 1))
    changed[~present] = draw.choice([np.nan, 1e30, 0, -3])
    expected = retrieval(embeddings, present)
    assert retrieval(changed[order], present[order]) == expected
    np.testing.assert_allclose(
        spread(changed[order], present[order]), spread(embeddings, present), rtol=1e-12
    )


def test_a_zero_embedding_is_no_hit() -> None:
    embeddings, present = np.zeros((10, 2, 3)), np.ones((10, 2), bool)
    found = retrieval(embeddings, present)
    assert found.pairs[0, 1].top10 == found.leave_one_out[1].top10 == 1  # all of them are near
    assert found.pairs[0, 1].top5 == found.pairs[1, 0].top5 == 0


def test_no_second_copy_of_the_embeddings_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "STACK", 1)
    monkeypatch.setattr("sleepfm_jax.evaluate.retrieval.ROWS", 128)
    embeddings = np.random.default_rng(0).standard_normal((12_000, 3, 64), dtype=np.float32)
    present = np.ones((12_000, 3), bool)

    def seek() -> None:
        pair(embeddings, present, 0, 1)
        others(embeddings, present, 2)
        spread(embeddings, present)

    seek()  # what compiling takes is no copy
    tracemalloc.start()
    seek()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * embeddings.nbytes


def test_spread_says_how_far_embeddings_point_apart() -> None:
    embeddings = np.zeros((4, 3, 2))
    embeddings[:, 0] = [[1, 0], [0, 2], [-3, 0], [0, -4]]  # all around
    embeddings[:, 1] = [[1, 0], [5, 0], [0, 1], [0, 2]]  # mean (½, ½)
    present = np.array([[True, True, False]] * 4)
    np.testing.assert_allclose(spread(embeddings, present), [1, 0.5, np.nan])


def test_metrics_name_what_was_sought_in_what() -> None:
    embeddings, present = windows(5, 40)
    present[:, 3] = False
    found = retrieval(embeddings, present)
    metrics = found.metrics(NAMES)
    assert metrics["top1/BAS-others"] == found.leave_one_out[0].top1
    assert metrics["top10/EKG-RESP"] == found.pairs[2, 1].top10
    assert metrics["candidates/RESP-EKG"] == found.pairs[1, 2].candidates
    assert metrics["top1"] == pytest.approx(np.mean([s.top1 for s in found.leave_one_out[:3]]))
    assert metrics["candidates"] == min(s.candidates for s in found.leave_one_out[:3])
    assert not [name for name in metrics if "EMG" in name]
    assert retrieval(embeddings, np.zeros((40, 4), bool)).metrics(NAMES) == {}
