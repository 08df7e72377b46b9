"""Damage under a run: said in one sentence, survived where it can be, and nothing is lost."""

import dataclasses
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import pytest

from sleepfm_jax.configs.pretrain import VARIANTS, get_config
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import batches
from sleepfm_jax.input_pipeline.batching import Batching
from sleepfm_jax.input_pipeline.windows import open_store
from sleepfm_jax.train.loop import CHECKPOINTS, run
from tests.faults.test_training_checkpoint_faults import flip, full_disk, warnings
from tests.train import small_store
from tests.train.kept_programs import kept_programs, shared_folder
from tests.train.small_task import F, LineTask, hashes, numbers, plan, sigterm_before

LAST = 12


@pytest.fixture(scope="module", autouse=True)
def _programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with kept_programs(shared_folder(tmp_path_factory.getbasetemp())):
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to its end."""
    workdir = tmp_path_factory.mktemp("whole")
    assert run(plan(), workdir) is None
    return workdir


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, stopped after step 8."""
    workdir = tmp_path_factory.mktemp("stopped")
    assert run(plan(sigterm_before(7)), workdir) == signal.SIGTERM
    return workdir


def data(step: Path) -> Path:
    """What is restored; beside it stand what each process wrote before all was put together."""
    (path,) = step.glob("state/d/*")
    return path


def flip_data(step: Path) -> None:
    path = data(step)
    flip(path, path.stat().st_size // 2, 6)


def truncate_data(step: Path) -> None:
    path = data(step)
    os.truncate(path, path.stat().st_size // 2)


def empty_record(step: Path) -> None:
    os.truncate(step / "record" / "record.json", 0)


@pytest.mark.parametrize("damage", [flip_data, truncate_data, empty_record])
def test_a_damaged_checkpoint_costs_steps_but_no_bit(
    whole: Path, stopped: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    workdir = shutil.copytree(stopped, tmp_path / "run")
    damage(workdir / CHECKPOINTS / "8")
    with warnings() as said:
        assert run(plan(), workdir) is None
    (warning,) = said
    assert f"{workdir / CHECKPOINTS}: the checkpoint of step 8 is damaged (" in warning
    assert warning.endswith("renamed to damaged-8, and that of step 6 is used")
    assert hashes(workdir, LAST) == hashes(whole, LAST)
    assert numbers(workdir) == numbers(whole)


@pytest.mark.parametrize("room", [100, 700, 3000])
def test_a_full_disk_ends_the_run_and_loses_nothing(
    whole: Path, stopped: Path, tmp_path: Path, room: int
) -> None:
    """Whether it is the metrics, the checkpoint or the model that finds no room."""
    workdir = shutil.copytree(stopped, tmp_path / "run")
    with full_disk(room), pytest.raises(InputError, match="cannot be written") as caught:
        run(plan(), workdir)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(workdir))
    assert run(plan(), workdir) is None
    assert hashes(workdir, LAST) == hashes(whole, LAST)
    assert numbers(workdir) == numbers(whole)


class StoreTask(LineTask):
    """The small task on windows: as many samples as it has features."""

    def forward(self, model: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
        return model(batch["signals"][:, 0, 1000 : 1000 + F].astype("float32"))

    def objective(self, model: Any, outputs: jax.Array, batch: Any) -> tuple[jax.Array, Any]:
        del model
        empty = (batch["patches"] == 0).sum()
        return (outputs**2).mean(), {"empty_rows": empty.astype("float32")}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return shutil.copytree(small_store.path(), tmp_path / "store")


def shard_of(store: Path, split: str) -> Path:
    (path,) = store.glob(f"*{split}.array_record*")
    return path


def damage_a_window(store: Path, split: str) -> Path:
    """A bit in the middle of the first record that a shard has."""
    shard = shard_of(store, split)
    flip(shard, shard.stat().st_size // 4)
    return shard


def on_windows(store: Path, skip_damaged: bool) -> Any:
    """Six steps: the twelve windows twice over; validated once."""
    stream = batches.pretraining(
        open_store(store), Batching(batch_size=4, slots=4, skip_damaged=skip_damaged)
    )
    held_out = batches.held_out(open_store(store, "validation"), 6, 4, 4)
    small = plan(stream, steps=6, log_every=1, validate_every=6)
    return dataclasses.replace(small, task=StoreTask(), held_out=held_out)


def test_a_damaged_window_is_named_and_its_row_stays_empty(store: Path, tmp_path: Path) -> None:
    shard = damage_a_window(store, "train")
    with warnings() as said:
        assert run(on_windows(store, True), tmp_path / "run") is None
    assert len(said) >= 2  # once an epoch, and again in what was read ahead
    for line in said:
        assert line.startswith(f"{shard} is damaged in night train-")
        assert line.endswith("its row stays empty")
    empty = [line.get("train/empty_rows") for line in numbers(tmp_path / "run")]
    assert sum(filter(None, empty)) == 2


def test_every_configuration_leaves_out_damaged_windows() -> None:
    assert all(get_config(variant).batches.skip_damaged for variant in VARIANTS)


@pytest.mark.parametrize(("split", "skip"), [("train", False), ("validation", True)])
def test_a_damaged_window_that_is_not_to_be_left_out_ends_the_run(
    store: Path, tmp_path: Path, split: str, skip: bool
) -> None:
    """Another set of held-out windows would give losses that cannot be compared."""
    shard = damage_a_window(store, split)
    with pytest.raises(InputError) as caught:
        run(on_windows(store, skip), tmp_path / "run")
    assert str(caught.value).startswith(f"{shard} is damaged in night {split}-")
    assert "\n" not in str(caught.value)


def test_other_data_under_a_checkpoint_are_refused(store: Path, tmp_path: Path) -> None:
    """Going on with them would not be the same run."""
    run(dataclasses.replace(on_windows(store, True), steps=2), tmp_path / "run")
    other = on_windows(store, True)
    stream = batches.pretraining(open_store(store), Batching(batch_size=4, slots=4, seed=1))
    with pytest.raises(InputError, match="is of seed 0, not 1: go on with the same data"):
        run(dataclasses.replace(other, batches=stream), tmp_path / "run")
