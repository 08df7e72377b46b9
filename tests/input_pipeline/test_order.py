"""Every window once an epoch, batches as promised, from the seed alone."""

import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.order import APART, GROUPED, MIXED, Order, Sample

NIGHTS = st.lists(st.integers(1, 40), min_size=8, max_size=30)


def order_of(counts: list[int], batch_size: int, nights: str, seed: int = 0, run: int = 2) -> Order:
    return Order(np.repeat(np.arange(len(counts)), counts), batch_size, seed, nights, run)


@settings(max_examples=40, deadline=None)
@given(NIGHTS, st.sampled_from([2, 4, 8]), st.sampled_from([MIXED, GROUPED]))
def test_an_epoch_holds_every_window_once_but_the_last_part_of_a_batch(
    counts: list[int], batch_size: int, nights: str
) -> None:
    epoch = order_of(counts, batch_size, nights).epoch(0)
    assert epoch.shape == (sum(counts) // batch_size, batch_size)
    assert len(np.unique(epoch)) == epoch.size
    assert set(epoch.flat) <= set(range(sum(counts)))


@settings(max_examples=60, deadline=None)
@given(NIGHTS, st.integers(2, 8), st.integers(0, 5))
def test_apart_a_batch_has_no_night_twice_and_as_much_as_can_be_is_used(
    counts: list[int], batch_size: int, epoch: int
) -> None:
    order = order_of(counts, batch_size, APART)
    drawn = order.epoch(epoch)
    night_of = np.repeat(np.arange(len(counts)), counts)
    for batch in night_of[drawn]:
        assert len(np.unique(batch)) == batch_size
    assert len(np.unique(drawn)) == drawn.size
    # one more batch could not be dealt, whichever windows it took
    more = len(drawn) + 1
    assert np.minimum(counts, more).sum() < more * batch_size


def test_apart_leaves_nothing_out_of_equal_nights() -> None:
    epoch = order_of([30] * 16, 8, APART).epoch(3)
    assert sorted(epoch.flat) == list(range(480))


def test_apart_does_not_bring_the_same_nights_together_again_and_again() -> None:
    """Of 64 nights of 50 windows in batches of 8, a pair meets 50·7/63 = 5.6 times on average."""
    nights = order_of([50] * 64, 8, APART).epoch(0) // 50
    met = np.zeros((64, 64), int)
    for batch in nights:
        met[np.ix_(batch, batch)] += 1
    np.fill_diagonal(met, 0)
    assert met.max() < 25


@settings(max_examples=40, deadline=None)
@given(NIGHTS, st.sampled_from([2, 4]))
def test_grouped_batches_are_made_of_runs_of_one_night(counts: list[int], run: int) -> None:
    drawn = order_of(counts, 8, GROUPED, run=run).epoch(0)
    night_of = np.repeat(np.arange(len(counts)), counts)
    runs = night_of[drawn].reshape(-1, run)
    of_one_night = (runs == runs[:, :1]).all(axis=1).sum()
    joined = sum(count % run for count in counts) // run
    assert of_one_night >= len(runs) - joined


def test_runs_are_drawn_from_all_over_the_night_and_change() -> None:
    order = order_of([100] * 4, 8, GROUPED, run=4)
    runs = order.epoch(0).reshape(-1, 4)
    assert np.ptp(runs, axis=1).mean() > 40  # neighbours in time would span 3
    assert {tuple(sorted(r)) for r in runs}.isdisjoint(
        tuple(sorted(r)) for r in order.epoch(1).reshape(-1, 4)
    )


@pytest.mark.parametrize("nights", [MIXED, GROUPED, APART])
def test_seed_and_epoch_decide(nights: str) -> None:
    counts = [20] * 16
    order = order_of(counts, 8, nights, seed=5)
    again = pickle.loads(pickle.dumps(order))
    for epoch in (7, 0, 1, 7):
        assert np.array_equal(order.epoch(epoch), again.epoch(epoch))
    assert np.array_equal(order.batch(order.batches + 2), order.epoch(1)[2])
    assert not np.array_equal(order.epoch(0), order.epoch(1))
    assert not np.array_equal(order.epoch(0), order_of(counts, 8, nights, seed=6).epoch(0))


def test_what_an_epoch_leaves_out_changes() -> None:
    order = order_of([3, 2, 5], 4, MIXED)
    left_out = {frozenset(range(10)) - frozenset(order.epoch(e).flat) for e in range(20)}
    assert len(left_out) > 5


def test_windows_are_shuffled() -> None:
    epoch = order_of([100] * 10, 10, MIXED).epoch(0).reshape(-1)
    assert abs(np.corrcoef(epoch, np.arange(1000))[0, 1]) < 0.15
    assert np.mean(np.diff(epoch) == 1) < 0.02


@pytest.mark.parametrize("nights", [MIXED, GROUPED, APART])
def test_an_epoch_of_a_million_windows_is_drawn_in_a_second_of_cpu(nights: str) -> None:
    order = order_of([100] * 10_000, 128, nights, run=4)
    start = time.process_time()
    order.epoch(0)
    drawn = time.process_time() - start
    for batch in range(order.batches):
        order.batch(batch)
    assert drawn < 1
    assert time.process_time() - start - drawn < 0.5  # the epoch was kept


def test_too_few_windows_or_nights_are_refused() -> None:
    with pytest.raises(InputError, match="batch of 8 needs as many windows, but there are 7"):
        order_of([3, 4], 8, MIXED)
    with pytest.raises(InputError, match="as many nights, but there are 2: take a smaller"):
        order_of([30, 40], 8, APART)


def test_a_sample_is_fixed_and_filled_up() -> None:
    sample = Sample(100, 10, 4, seed=1)
    drawn = np.concatenate([sample.batch(k) for k in range(sample.batches)])
    assert len(drawn) == 12
    assert list(drawn[10:]) == [-1, -1]
    assert len(set(drawn[:10])) == 10
    assert np.array_equal(sample.batch(1), Sample(100, 10, 4, seed=1).batch(1))
    assert not np.array_equal(sample.batch(1), Sample(100, 10, 4, seed=2).batch(1))
    assert sorted(Sample(5, 10, 5, 0).batch(0)) == [0, 1, 2, 3, 4]
