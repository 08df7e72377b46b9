"""Retrieval counts what it says, for any embeddings; collapse scores nothing."""

import tracemalloc

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax import losses
from sleepfm_jax.evaluate import retrieval as module
from sleepfm_jax.evaluate.retrieval import ranks, retrieval, score, spread

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


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), N=st.integers(0, 12), block=st.sampled_from([1, 3, 1024]))
def test_scores_are_those_of_plain_counting(seed: int, N: int, block: int) -> None:
    embeddings, present = windows(seed, N)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = retrieval(embeddings, present)
    unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    for m in range(4):
        rows = [n for n in range(N) if present[n, m] and present[n].sum() > 1]
        keys = np.array(
            [np.mean([unit[n, k] for k in range(4) if k != m and present[n, k]], 0) for n in rows]
        )
        expected = [plain_rank(unit[n, m], keys, own) for own, n in enumerate(rows)]
        assert_scored(found.leave_one_out[m], expected)
        for j in {0, 1, 2, 3} - {m}:
            both = [n for n in range(N) if present[n, m] and present[n, j]]
            expected = [plain_rank(unit[n, m], unit[both, j], own) for own, n in enumerate(both)]
            assert_scored(found.pairs[m, j], expected)


def assert_scored(found: module.Score, expected: list[int]) -> None:
    assert found.candidates == len(expected)
    if expected:
        assert found.top1 == pytest.approx(np.mean([rank == 1 for rank in expected]))
        assert found.top5 == pytest.approx(np.mean([rank <= 5 for rank in expected]))
        assert found.median_rank == np.median(expected)
    else:
        assert np.isnan([found.top1, found.top5, found.median_rank]).all()


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
        assert (one.top1, one.top5, one.median_rank, one.candidates) == (1, 1, 1, 50)


@pytest.mark.parametrize("noise", [0, 1e-7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_collapsed_model_finds_nothing(noise: float, dtype: type) -> None:
    """Not even by the rounding of products, which may favour the diagonal."""
    draw = np.random.default_rng(2)
    embeddings = np.broadcast_to(draw.standard_normal(128), (300, 4, 128)).astype(dtype)
    embeddings = embeddings + (noise * draw.standard_normal(embeddings.shape)).astype(dtype)
    found = retrieval(embeddings, np.ones((300, 4), bool))
    for one in (*found.leave_one_out, *found.pairs.values()):
        assert (one.top1, one.top5, one.median_rank, one.candidates) == (0, 0, 300, 300)
    np.testing.assert_allclose(spread(embeddings, np.ones((300, 4), bool)), 0, atol=1e-5)


def test_chance_is_one_over_the_candidates() -> None:
    embeddings, present = windows(3, 1000, agree=0, missing=0)
    metrics = retrieval(embeddings, present).metrics(NAMES)
    assert metrics["candidates"] == 1000
    assert metrics["top1"] < 0.004  # 0.001 ± 0.0005
    assert 0.002 < metrics["top5"] < 0.009
    assert 450 < metrics["median_rank"] < 550


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


def test_what_is_no_number_is_found_last() -> None:
    queries = np.eye(4)
    assert ranks(queries, queries).tolist() == [1, 1, 1, 1]
    broken = queries.copy()
    broken[1] = np.nan
    assert ranks(queries, broken).tolist() == [2, 4, 2, 2]
    assert ranks(broken, queries).tolist() == [1, 4, 1, 1]


def test_a_zero_embedding_is_no_hit() -> None:
    embeddings, present = np.zeros((10, 2, 3)), np.ones((10, 2), bool)
    assert retrieval(embeddings, present).pairs[0, 1].top1 == 0
    assert score(np.zeros((0, 3)), np.zeros((0, 3))).candidates == 0


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
    assert metrics["candidates/RESP-EKG"] == found.pairs[1, 2].candidates
    assert metrics["top1"] == pytest.approx(np.mean([s.top1 for s in found.leave_one_out[:3]]))
    assert metrics["candidates"] == min(s.candidates for s in found.leave_one_out[:3])
    assert not [name for name in metrics if "EMG" in name]
    assert retrieval(embeddings, np.zeros((40, 4), bool)).metrics(NAMES) == {}


def test_memory_grows_with_the_windows_and_not_their_square() -> None:
    draw = np.random.default_rng(6)
    queries = draw.standard_normal((6000, 4)).astype(np.float32)
    tracemalloc.start()
    ranks(queries, queries)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6000 * 1024 * 10  # bytes; all at once would take 144 MB
