"""Ranks of one product are those of plain counting, in both directions, whatever the tiles."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.evaluate import ranking
from sleepfm_jax.evaluate.ranking import both_ways, ranks


def unit(seed: int, N: int, E: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((N, E))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def counted(similarity: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Ranks by a whole matrix (N, N) in float64; what is no number is near."""
    own = np.diag(similarity)[:, None]
    further = (similarity < own - ranking.TIE) & (groups[:, None] == groups)
    return (groups[:, None] == groups).sum(axis=1) - further.sum(axis=1)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "TILE", 4)
    monkeypatch.setattr(ranking, "STACK", 2)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("N", [1, 4, 7, 8, 9, 30])
@pytest.mark.parametrize("parts", [1, 3])
def test_tiles_stacks_and_groups_change_nothing(N: int, parts: int) -> None:
    draw = np.random.default_rng(N)
    queries, keys = unit(0, N, 3), unit(1, N, 3)
    queries[draw.random(N) < 0.1] = np.nan
    keys[draw.random(N) < 0.1] = 0
    groups = np.sort(draw.integers(0, parts, N)).astype(np.int32)
    forth, back = both_ways(queries.__getitem__, keys.__getitem__, groups, threads=2)
    similarity = queries.astype(float) @ keys.astype(float).T
    np.testing.assert_array_equal(forth, counted(similarity, groups))
    np.testing.assert_array_equal(back, counted(similarity.T, groups))


def test_a_full_tile_of_the_real_size() -> None:
    """1100 rows: three tiles, the last one partly filled."""
    queries = unit(2, 1100, 8)
    keys = unit(3, 1100, 8) + queries
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    forth, back = ranks(queries, keys)
    similarity, one = queries.astype(float) @ keys.astype(float).T, np.zeros(1100)
    # A similarity may lie within rounding of the threshold, on either side of it.
    np.testing.assert_allclose(forth, counted(similarity, one), atol=1)
    np.testing.assert_allclose(back, counted(similarity.T, one), atol=1)
    assert (forth == counted(similarity, one)).mean() > 0.99
    assert 1 < np.median(forth) < 300


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_exchanged_sides_exchange_the_ranks(seed: int) -> None:
    """However many are tied: of a few directions, each is the embedding of several rows."""
    draw = np.random.default_rng(seed)
    few = unit(seed, 4, 512)
    queries, keys = few[draw.integers(0, 4, 150)], few[draw.integers(0, 4, 150)]
    forth, back = ranks(queries, keys)
    again = ranks(keys, queries)
    np.testing.assert_array_equal(forth, again[1])
    np.testing.assert_array_equal(back, again[0])
    # Exact by counting which of the few is nearer, no product of single rows needed.
    similarity = (queries.astype(float) @ keys.astype(float).T).round(7)
    np.testing.assert_array_equal(forth, counted(similarity, np.zeros(150)))


def test_rounding_of_another_order_of_sums_is_a_tie() -> None:
    """The partner's own similarity is summed in another order than the tile's."""
    one = unit(5, 1, 512)
    forth, back = ranks(np.repeat(one, 600, axis=0), np.repeat(one, 600, axis=0))
    assert set(forth) == set(back) == {600}


def test_what_is_no_number_is_found_last() -> None:
    queries = np.eye(4)
    assert [side.tolist() for side in ranks(queries, queries)] == [[1, 1, 1, 1]] * 2
    broken = queries.copy()
    broken[1] = np.nan
    assert [side.tolist() for side in ranks(queries, broken)] == [[2, 4, 2, 2], [1, 4, 1, 1]]
    assert [side.tolist() for side in ranks(broken, queries)] == [[1, 4, 1, 1], [2, 4, 2, 2]]
    assert ranks(np.zeros((0, 3)), np.zeros((0, 3)))[0].shape == (0,)


def test_memory_grows_with_the_windows_and_not_their_square() -> None:
    queries = unit(6, 6000, 4)
    ranks(queries[:600], queries[:600])
    tracemalloc.start()
    ranks(queries, queries)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6  # bytes; all similarities at once would take 144 MB
