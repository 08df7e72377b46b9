"""Every night once an epoch, the same batches for any number of processes, rows that are true."""

import dataclasses
import functools
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import night_batches
from sleepfm_jax.input_pipeline.batch_streams import Batch, Endless
from sleepfm_jax.input_pipeline.demographics import Demographics
from sleepfm_jax.input_pipeline.embedded_nights import EmbeddedNights
from sleepfm_jax.input_pipeline.labelled_nights import LabelledNights, with_outcomes, with_stages
from sleepfm_jax.input_pipeline.nights_by_number import NamesOnly
from sleepfm_jax.input_pipeline.outcomes import OutcomeTable
from sleepfm_jax.input_pipeline.recorded_nights import RecordedNights
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.windows import PATCH
from tests.input_pipeline import small_embeddings, small_nights

LENGTHS = [70, 61, 12, 130, 64, 90, 7, 150, 33, 121]  # of 10 nights
BY_SUBJECT = Splits(subject=r"^(p\d+)")
SEED = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_embeddings.cohort(tmp_path_factory.mktemp("cohort"), LENGTHS)


@pytest.fixture(scope="module")
def staged(folder: Path) -> LabelledNights:
    return with_stages(folder / "embeddings", folder / "stages", splits=BY_SUBJECT)


def outcome_table() -> OutcomeTable:
    """Of subjects p0 to p4 and labels 0 to 2: time 10 s + l, event where s + l is even."""
    s, label = np.indices((5, 3))
    return OutcomeTable(
        subjects=tuple(f"p{k}" for k in range(5)),
        labels=("250.2", "332", "401.1"),
        phenotypes=("", "", ""),
        time=(10 * s + label).astype(np.float32),
        event=(s + label) % 2 == 0,
        earlier=np.zeros((5, 3), bool),
    )


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
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def assert_true(batch: Batch, row: int, crop: int = 0) -> int:
    """That a row is a run of its night and nothing else; returns where it begins."""
    night, steps = int(batch["night"][row]), int(batch["steps"][row])
    assert steps == (min(LENGTHS[night], crop) if crop else LENGTHS[night])
    first = int(batch["embeddings"][row, 0, 0, 2])
    assert 0 <= first <= LENGTHS[night] - steps
    expected = np.zeros_like(batch["embeddings"][row])  # (M, T, E)
    for modality in small_embeddings.present(night):
        rows = small_embeddings.values(night, modality, LENGTHS[night])
        expected[modality, :steps] = rows[first : first + steps]
    np.testing.assert_array_equal(batch["embeddings"][row], expected)
    assert batch["present"][row].tolist() == [True, True, night % 4 != 3, True]
    stages = np.full(batch["stages"].shape[1], -1, np.int8)
    stages[:steps] = small_embeddings.stages(night, LENGTHS[night])[first : first + steps]
    np.testing.assert_array_equal(batch["stages"][row], stages)
    assert batch["subject"][row] == night // 2
    return first


def test_an_epoch_has_every_night_once_and_whole(staged: LabelledNights) -> None:
    batches = night_batches.training(staged, 5, SEED)
    assert batches.batches_per_epoch == 2
    made = take(batches, 6)
    for epoch in (made[:2], made[2:4], made[4:]):
        for batch in epoch:
            assert batch["embeddings"].shape == (5, 4, 180, small_embeddings.WIDTH)
            assert batch["embeddings"].dtype == np.float32
            assert {name: str(batch[name].dtype) for name in ("steps", "stages", "present")} == {
                "steps": "int32",
                "stages": "int8",
                "present": "bool",
            }
            assert [assert_true(batch, row) for row in range(5)] == [0] * 5
        nights = np.concatenate([batch["night"] for batch in epoch])
        assert sorted(nights) == list(range(10))


def test_epochs_are_shuffled_anew_and_by_the_seed(staged: LabelledNights) -> None:
    def orders(seed: int) -> list[list[int]]:
        made = take(night_batches.training(staged, 10, seed), 3)
        return [batch["night"].tolist() for batch in made]

    one, two, three = orders(SEED)
    assert one != two != three
    assert orders(SEED) == [one, two, three]
    assert orders(SEED + 1)[0] != one


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("crop", [0, 50])
def test_processes_hold_contiguous_rows_of_the_same_batches(
    staged: LabelledNights, processes: int, crop: int
) -> None:
    whole = take(night_batches.training(staged, 8, SEED, crop=crop), 3)
    parts = [
        take(night_batches.training(staged, 8, SEED, p, processes, crop=crop), 3)
        for p in range(processes)
    ]
    assert_same(joined(parts), whole)


@pytest.mark.parametrize("done", [0, 1, 3])
def test_resumed_batches_are_those_that_would_have_followed(
    staged: LabelledNights, done: int
) -> None:
    whole = take(night_batches.training(staged, 4, SEED, crop=40), 5)
    before = night_batches.training(staged, 4, SEED, crop=40)
    for _ in range(done):
        next(before)
    state = json.loads(json.dumps(before.get_state()))
    before.close()
    after = night_batches.training(staged, 4, SEED, crop=40)
    next(after)  # what was read before must not come back
    after.set_state(state)
    assert after.get_state() == state
    assert_same(take(after, 5 - done), whole[done:])


def test_the_position_of_another_order_or_other_nights_is_refused(
    staged: LabelledNights, folder: Path
) -> None:
    batches = night_batches.training(staged, 4, SEED)
    state = batches.get_state()
    for other, sentence in (
        (night_batches.training(staged, 4, 6), "is of seed 5, not 6"),
        (night_batches.training(staged, 5, SEED), "is of batch_size 4, not 5"),
        (night_batches.training(staged, 4, SEED, crop=60), "is of crop 0, not 60"),
    ):
        with pytest.raises(InputError, match=sentence):
            other.set_state(state)
    fewer = with_stages(folder / "embeddings", folder / "stages", "train", BY_SUBJECT)
    with pytest.raises(InputError, match=r"is of (nights|data) \d+, not \d+: go on with the same"):
        night_batches.training(fewer, 2, SEED).set_state({**state, "batch_size": 2})
    with pytest.raises(InputError, match="lacks next_batch: go on from another checkpoint"):
        batches.set_state({k: v for k, v in state.items() if k != "next_batch"})


def test_crops_begin_anywhere_and_are_drawn_anew(staged: LabelledNights) -> None:
    batches = take(night_batches.training(staged, 10, SEED, crop=50), 100)
    starts: dict[int, list[int]] = {}
    for batch in batches:
        assert batch["embeddings"].shape[2] == 60
        for row in range(10):
            first = assert_true(batch, row, crop=50)
            starts.setdefault(int(batch["night"][row]), []).append(first)
    assert set(starts[7]) <= set(range(101))
    assert min(starts[7]) < 20 and max(starts[7]) > 80  # noqa: PT018 (both ends are reached)
    assert len(set(starts[7])) > 20
    assert set(starts[1]) == set(range(12))
    assert set(starts[2]) == {0}


def test_held_out_nights_come_in_order_and_the_last_batch_is_filled_up(
    staged: LabelledNights,
) -> None:
    batches = night_batches.held_out(staged, 4)
    assert len(batches) == 3
    made = list(batches)
    assert_same(list(batches), made)
    assert np.concatenate([b["night"] for b in made]).tolist() == [*range(10), -1, -1]
    for batch in made:
        for row in np.flatnonzero(batch["night"] >= 0):
            assert_true(batch, int(row))
    for name, value in (("steps", 0), ("stages", -1), ("subject", -1), ("embeddings", 0)):
        assert (made[-1][name][2:] == value).all()
    assert not made[-1]["present"][2:].any()
    parts = [list(night_batches.held_out(staged, 4, p, 2)) for p in range(2)]
    assert_same(joined(parts), made)


def test_held_out_crops_are_the_middle(staged: LabelledNights) -> None:
    (batch,) = night_batches.held_out(staged, 10, crop=60)
    firsts = [assert_true(batch, row, crop=60) for row in range(10)]
    assert firsts == [max(steps - 60, 0) // 2 for steps in LENGTHS]


def test_outcomes_and_demographics_are_those_of_the_subject(folder: Path) -> None:
    table = outcome_table()
    ages = {f"p{k}": 20.0 + k for k in range(5)}
    sexes = {f"p{k}": "FM"[k % 2] for k in range(5)}
    nights = with_outcomes(
        folder / "embeddings", table, Demographics(ages, sexes), splits=BY_SUBJECT
    )
    for batch in [*take(night_batches.training(nights, 5, SEED), 2)]:
        subject = batch["night"] // 2
        np.testing.assert_array_equal(batch["subject"], subject)
        np.testing.assert_array_equal(batch["time"], table.time[subject])
        np.testing.assert_array_equal(batch["event"], table.event[subject])
        encoded = np.stack([(20 + subject) / 98, subject % 2], axis=1)
        np.testing.assert_allclose(batch["demographics"], encoded, rtol=1e-6)
        assert batch["time"].dtype == batch["demographics"].dtype == np.float32
        assert "stages" not in batch
    *_, last = night_batches.held_out(nights, 4)
    assert (last["time"][2:] == -1).all()
    assert not last["event"][2:].any()
    assert not last["demographics"][2:].any()


def test_age_and_sex_alone_need_no_night_to_be_read(tmp_path: Path) -> None:
    for name in ("s0", "s1", "s2"):
        (tmp_path / f"{name}.hdf5").touch()  # no HDF5 at all
    people = Demographics(
        dict.fromkeys(("s0", "s1", "s2"), 49.0), {"s0": "F", "s1": "M", "s2": "F"}
    )
    table = dataclasses.replace(outcome_table(), subjects=("s2", "s1", "s0", "p3", "p4"))
    nights = with_outcomes(tmp_path, table, people, opening=NamesOnly)
    (batch,) = night_batches.held_out(nights, 4)
    assert batch.keys() == {"night", "subject", "demographics", "time", "event"}
    assert batch["demographics"].tolist() == [[0.5, 0], [0.5, 1], [0.5, 0], [0, 0]]
    np.testing.assert_array_equal(batch["time"][:3], table.time[[2, 1, 0]])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"batch_size": 11}, "a batch of 11 needs as many nights, but there are 10: take a"),
        ({"batch_size": 4, "processes": 3}, "4 does not divide by 3 processes: give a multiple"),
        (
            {"batch_size": 4, "max_steps": 149},
            "p3_b is 150 steps of 5 s, in whole windows more than the 149 .*set crop to 120 or",
        ),
        ({"batch_size": 4, "max_steps": 100, "crop": 101}, "crop is 101 steps .*set crop to 60 or"),
        ({"batch_size": 4, "crop": -1}, "crop is -1 steps: give 0, or a multiple of 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    staged: LabelledNights, arguments: dict[str, int], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        night_batches.training(staged, **arguments)


def test_a_night_that_changes_meanwhile_ends_the_run_by_name(tmp_path: Path) -> None:
    small_embeddings.cohort(tmp_path, [30, 30])
    opening = functools.partial(EmbeddedNights, memory=0)
    nights = with_stages(tmp_path / "embeddings", tmp_path / "stages", opening=opening)
    small_embeddings.write(tmp_path / "embeddings/sequence/p0_b.hdf5", 1, 31, step=5.0)
    batches = night_batches.training(nights, 2)
    with pytest.raises(InputError, match=r"p0_b\.hdf5 has changed since it was opened"):
        next(batches)
    batches.close()


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> LabelledNights:
    """Four nights of 75 patches of noise: 3 channels, BAS, RESP and EKG."""
    folder = tmp_path_factory.mktemp("signals")
    small_nights.cohort(folder / "recordings", patches=75)
    for night, name in enumerate(("p0-a", "p0-b", "p1-a", "p1-b")):
        small_embeddings.write_stages(folder / "stages" / f"{name}.csv", night, 75)
    opening = functools.partial(RecordedNights, slots=4)
    return with_stages(folder / "recordings", folder / "stages", opening=opening)


def test_signals_are_runs_of_whole_windows(signals: LabelledNights) -> None:
    whole = take(night_batches.training(signals, 4, SEED), 1)[0]
    assert whole["signals"].shape == (4, 4, 120 * PATCH)
    assert whole["signals"].dtype == np.float16
    for row, night in enumerate(whole["night"]):
        noise = small_nights.noise(int(night), 3, 75 * PATCH + 7)[:, : 75 * PATCH]
        np.testing.assert_array_equal(whole["signals"][row, :3, : 75 * PATCH], noise)
        assert not whole["signals"][row, 3].any()
        assert not whole["signals"][row, :, 75 * PATCH :].any()
        assert whole["modality"][row].tolist() == [0, 1, 2, -1]
        assert whole["patches"][row] == 75
        expected = small_embeddings.stages(int(night), 75)
        np.testing.assert_array_equal(whole["stages"][row, :75], expected)
    seen = set()
    for batch in take(night_batches.training(signals, 4, SEED, crop=60), 8):
        assert batch["signals"].shape == (4, 4, 60 * PATCH)
        for row, night in enumerate(batch["night"]):
            first = {60: 0, 15: 60}[int(batch["patches"][row])]
            noise = small_nights.noise(int(night), 3, 75 * PATCH + 7)
            run = noise[:, first * PATCH : min(first + 60, 75) * PATCH]
            np.testing.assert_array_equal(batch["signals"][row, :3, : run.shape[1]], run)
            stages = small_embeddings.stages(int(night), 75)[first : first + 60]
            np.testing.assert_array_equal(batch["stages"][row, : len(stages)], stages)
            seen.add(first)
    assert seen == {0, 60}
    with pytest.raises(InputError, match="crop is 50 steps: give 0, or a multiple of 60"):
        night_batches.training(signals, 4, crop=50)
