"""The same batches for any number of processes and workers, and after an interruption."""

import itertools
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import windows
from sleepfm_jax.input_pipeline.batch_streams import Endless
from sleepfm_jax.input_pipeline.batches import Batch, Batching, held_out, pretraining
from sleepfm_jax.input_pipeline.order import Order
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.jobs.pack import pack
from tests.input_pipeline import small_nights
from tests.input_pipeline.fake_windows import FakeWindows

NIGHTS = [5, 7, 6, 8, 4, 6, 5, 9]  # 50 windows
AUGMENTED = Batching(
    batch_size=8,
    slots=6,
    seed=11,
    channel_dropout=0.3,
    modality_dropout=0.3,
    amplitude_jitter=0.1,
    threads=2,
)
STEPS = 8  # into the second epoch of 6


def take(batches: Endless, steps: int) -> list[Batch]:
    try:
        return list(itertools.islice(batches, steps))
    finally:
        batches.close()


def joined(parts: list[list[Batch]]) -> list[Batch]:
    """Global batches from each process's."""
    return [
        {name: np.concatenate([part[name] for part in step]) for name in step[0]}
        for step in zip(*parts, strict=True)
    ]


def assert_same(left: list[Batch], right: list[Batch]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys() == {"signals", "modality", "patches", "night"}
        for name in one:
            assert np.array_equal(one[name], other[name])


@pytest.fixture(scope="module")
def whole() -> list[Batch]:
    return take(pretraining(FakeWindows(NIGHTS), AUGMENTED), STEPS)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_hold_contiguous_rows_of_the_same_batches(
    whole: list[Batch], processes: int
) -> None:
    parts = [
        take(pretraining(FakeWindows(NIGHTS), AUGMENTED, p, processes), STEPS)
        for p in range(processes)
    ]
    assert_same(joined(parts), whole)


def test_workers_make_the_same_batches_go_on_where_told_and_name_damage(
    whole: list[Batch],
) -> None:
    before = pretraining(FakeWindows(NIGHTS), AUGMENTED)
    next(before)
    order = Order(FakeWindows(NIGHTS).night_of, AUGMENTED.batch_size, AUGMENTED.seed)
    read = {window for step in range(1, STEPS) for window in order.batch(step)}
    source = FakeWindows(NIGHTS, damaged=tuple({*range(50)} - read))
    batches = pretraining(source, replace(AUGMENTED, workers=2))
    batches.set_state(before.get_state())
    before.close()
    made = [next(batches) for _ in range(STEPS - 1)]
    assert_same(made, whole[1:])
    assert batches.get_state()["next_batch"] == STEPS
    assert all(type(values) is np.ndarray for values in made[0].values())
    with pytest.raises(InputError, match=r"^window \d+ is damaged: pack it again"):
        list(itertools.islice(batches, batches.batches_per_epoch))
    batches.close()


@pytest.mark.parametrize("done", [0, 1, 6])
@pytest.mark.parametrize("processes", [1, 2])
def test_resumed_batches_are_those_that_would_have_followed(
    whole: list[Batch], done: int, processes: int
) -> None:
    before = pretraining(FakeWindows(NIGHTS), AUGMENTED)
    for _ in range(done):
        next(before)
    state = json.loads(json.dumps(before.get_state()))
    before.close()
    parts = []
    for process in range(processes):
        after = pretraining(FakeWindows(NIGHTS), AUGMENTED, process, processes)
        next(after)  # what was read before must not come back
        after.set_state(state)
        assert after.get_state() == state
        parts.append(take(after, STEPS - done))
    assert_same(joined(parts), whole[done:])


def test_the_position_of_another_order_is_refused() -> None:
    batches = pretraining(FakeWindows(NIGHTS), AUGMENTED)
    state = batches.get_state()
    for other in (replace(AUGMENTED, seed=1), replace(AUGMENTED, nights="apart")):
        with pytest.raises(InputError, match=r"is of (seed 11, not 1|nights mixed, not apart)"):
            pretraining(FakeWindows(NIGHTS), other).set_state(state)
    with pytest.raises(InputError, match=r"is of data \d+, not \d+: go on with the same data"):
        pretraining(FakeWindows(NIGHTS[::-1]), AUGMENTED).set_state(state)
    with pytest.raises(InputError, match="lacks run: go on from another checkpoint"):
        pretraining(FakeWindows(NIGHTS), replace(AUGMENTED, nights="grouped")).set_state(
            {**state, "nights": "grouped"}
        )
    with pytest.raises(InputError, match="lacks next_batch: go on from another checkpoint"):
        batches.set_state({k: v for k, v in state.items() if k != "next_batch"})
    pretraining(FakeWindows(NIGHTS), replace(AUGMENTED, slots=24)).set_state(state)


def test_an_epoch_reads_every_window_once() -> None:
    batching = Batching(batch_size=10, slots=8)
    batches = pretraining(FakeWindows(NIGHTS), batching)
    assert batches.batches_per_epoch == 5
    for _ in range(2):
        epoch = [next(batches) for _ in range(5)]
        windows = np.concatenate([batch["signals"][:, 0, 0] for batch in epoch])
        nights = np.concatenate([batch["night"] for batch in epoch])
        assert sorted(windows) == list(range(50))
        assert np.array_equal(nights, FakeWindows(NIGHTS).night_of[windows.astype(int)])
    batches.close()


@pytest.mark.parametrize(("nights", "most"), [("apart", 1), ("grouped", 8)])
def test_nights_of_a_batch(nights: str, most: int) -> None:
    batching = Batching(batch_size=4, slots=4, nights=nights, run=2)
    for batch in take(pretraining(FakeWindows(NIGHTS), batching), 10):
        _, counts = np.unique(batch["night"], return_counts=True)
        assert counts.max() <= most
        if nights == "grouped":
            assert counts.max() >= 2


def test_batches_are_free_to_be_changed() -> None:
    source = FakeWindows(NIGHTS)
    batches = pretraining(source, Batching(batch_size=4, slots=4))
    first = next(batches)
    kept = first["signals"].copy()
    first["signals"] += 1
    second = next(batches)
    assert not np.shares_memory(first["signals"], second["signals"])
    assert np.array_equal(kept + 1, first["signals"])
    batches.close()


def test_no_more_is_read_ahead_than_asked_for() -> None:
    source = FakeWindows(NIGHTS)
    batches = pretraining(source, Batching(batch_size=2, slots=4, prefetch=3))
    next(batches)
    time.sleep(0.2)
    assert source.reads <= 2 * 4
    batches.close()


def test_packed_windows_and_plain_recordings_give_the_same_batches(tmp_path: Path) -> None:
    cohort = small_nights.cohort(tmp_path / "cohort")
    pack([cohort], tmp_path / "store", splits=Splits(fractions=(1.0, 0.0, 0.0)))
    batching = Batching(batch_size=4, slots=4, threads=3, channel_dropout=0.3)
    packed = take(pretraining(windows.open_store(tmp_path / "store"), batching), 4)
    assert_same(packed, take(pretraining(windows.open_recordings([cohort]), batching), 4))
    assert {*np.concatenate([batch["night"] for batch in packed])} == {0, 1, 2, 3}
    assert all(batch["signals"].any(axis=2)[batch["modality"] >= 0].all() for batch in packed)


def test_a_damaged_window_is_named() -> None:
    batches = pretraining(FakeWindows(NIGHTS, damaged=(7,)), AUGMENTED)
    with pytest.raises(InputError, match=r"^window 7 is damaged: pack it again"):
        take(batches, 2 * batches.batches_per_epoch)


def test_batches_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(InputError, match="batch of 8 does not divide by 3 processes"):
        pretraining(FakeWindows(NIGHTS), AUGMENTED, 0, 3)
    with pytest.raises(InputError, match="batch of 64 needs as many windows, but there are 50"):
        pretraining(FakeWindows(NIGHTS), replace(AUGMENTED, batch_size=64))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("batch_size", 0),
        ("slots", 3),
        ("slots", 25),
        ("seed", -1),
        ("channel_dropout", 1.1),
        ("amplitude_jitter", float("nan")),
        ("modality_dropout", -0.1),
        ("prefetch", 0),
        ("workers", -1),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{setting} is {value}: give .* to "):
        Batching(**{setting: value})  # type: ignore[arg-type]


def test_other_settings_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="nights is 'together': give 'mixed', 'grouped' or"):
        Batching(nights="together")
    with pytest.raises(InputError, match="batch of 128 is not made of runs of 3 samples"):
        Batching(nights="grouped", run=3)


def held(windows: int, process: int = 0, processes: int = 1) -> list[Batch]:
    return list(held_out(FakeWindows(NIGHTS), windows, 8, 7, 3, process, processes))


def test_held_out_windows_are_a_fixed_sample_as_it_is() -> None:
    source = FakeWindows(NIGHTS)
    batches = held_out(source, 20, 8, slots=7, seed=3)
    assert len(batches) == 3
    made = list(batches)
    assert_same(made, list(batches))
    assert_same(joined([held(20, process, 4) for process in range(4)]), made)
    rows = {name: np.concatenate([batch[name] for batch in made]) for name in made[0]}
    windows = rows["signals"][:20, 0, 0].astype(int)
    assert len(set(windows)) == 20
    assert np.array_equal(rows["night"][:20], source.night_of[windows])
    assert np.array_equal(rows["patches"][:20], 1 + windows % 60)
    for row, window in enumerate(windows):
        real = source.modality(window) >= 0
        assert (rows["modality"][row] >= 0).sum() == min(real.sum(), 7)
    assert (rows["night"][20:] == -1).all()
    assert (rows["modality"][20:] == -1).all()
    assert not rows["patches"][20:].any()
    assert not rows["signals"][20:].any()


def test_held_out_takes_all_where_there_are_fewer() -> None:
    rows = np.concatenate([batch["signals"][:, 0, 0] for batch in held(1000)])
    assert len(rows) == 56
    assert sorted(rows[:50]) == list(range(50))
    with pytest.raises(InputError, match="sample of 0 windows holds none"):
        held(0)
