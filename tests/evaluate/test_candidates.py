"""Groups of candidates are full, drawn by chance, and of one night where that is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.evaluate.candidates import Candidates


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    N=st.integers(0, 60),
    count=st.none() | st.integers(2, 9),
    among=st.booleans(),
)
def test_groups_are_full_and_leave_as_few_out_as_can_be(
    seed: int, N: int, count: int | None, among: bool
) -> None:
    draw = np.random.default_rng(seed)
    nights = draw.integers(0, 5, 2 * N) * 7
    rows = np.sort(draw.choice(2 * N, N, replace=False)) if N else np.zeros(0, int)
    groups = Candidates(count, nights if among else None, seed).groups(rows)
    own = nights[rows] if among else np.zeros(N, int)
    for night in np.unique(own):
        have = (own == night).sum()
        full = have // count * count if count else have if have > 1 else 0
        assert (groups[own == night] >= 0).sum() == full
    numbers, sizes = np.unique(groups[groups >= 0], return_counts=True)
    assert numbers.tolist() == list(range(len(numbers)))
    assert not count or (sizes == count).all()
    for number in numbers:
        assert len(np.unique(own[groups == number])) == 1


def test_draws_are_by_chance_and_of_their_seed() -> None:
    rows = np.arange(4000)
    groups = Candidates(2, seed=1).groups(rows)
    np.testing.assert_array_equal(groups, Candidates(2, seed=1).groups(rows))
    assert (groups != Candidates(2, seed=2).groups(rows)).any()
    apart = np.diff(np.argsort(groups, kind="stable").reshape(-1, 2))
    assert abs(apart.mean() / 4000 - 1 / 3) < 0.03  # of two drawn from a line
    nights = rows // 1000
    pairs = np.argsort(Candidates(2, nights).groups(rows), kind="stable").reshape(-1, 2)
    assert (nights[pairs[:, 0]] == nights[pairs[:, 1]]).all()
    assert abs(np.diff(pairs).mean() / 1000 - 1 / 3) < 0.03


def test_without_a_number_a_clip_is_sought_among_all() -> None:
    assert Candidates().groups(np.arange(5)).tolist() == [0] * 5
    assert Candidates().groups(np.arange(1)).tolist() == [-1], "with nothing to be told apart from"
    nights = np.array([3, 3, 8, 1, 1])  # the third is alone in its night
    assert Candidates(None, nights).groups(np.arange(5)).tolist() == [1, 1, -1, 0, 0]


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="1 candidates"):
        Candidates(1)
    with pytest.raises(ValueError, match="3 nights are given for 5 clips"):
        Candidates(None, np.zeros(3)).groups(np.arange(5))
