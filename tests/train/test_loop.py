"""The loop: what a run leaves, that it stops when asked and goes on as if nothing had been."""

import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.train import loop, state
from sleepfm_jax.train.checkpoints import Checkpoints
from sleepfm_jax.train.curves import PICTURE
from sleepfm_jax.train.loop import CHECKPOINTS, MODEL, run
from tests.train.kept_programs import kept_programs, shared_folder
from tests.train.small_task import (
    Batches,
    hashes,
    numbers,
    plan,
    provenance,
    sigterm_before,
)

LAST = 12


@pytest.fixture(scope="module", autouse=True)
def _programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with kept_programs(shared_folder(tmp_path_factory.getbasetemp())):
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to its end: logged every 2 steps, saved every 3, validated every 5, frozen from 6."""
    workdir = tmp_path_factory.mktemp("whole")
    batches = Batches()
    assert run(plan(batches, freeze=6, chunks=2), workdir) is None
    assert batches.closed
    return workdir


def steps_with(workdir: Path, name: str) -> list[int]:
    return [line["step"] for line in numbers(workdir) if name in line]


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Validations find these losses, one after the other."""
    coming = iter(losses)
    monkeypatch.setattr(loop.Validation, "__call__", lambda *_: {"loss": next(coming)})


def test_metrics_come_at_their_steps(whole: Path) -> None:
    assert steps_with(whole, "train/loss") == [2, 4, 6, 8, 10, 12]
    assert steps_with(whole, "validation/loss") == [5, 10, 12]
    train, held_out = numbers(whole)[0], numbers(whole)[2]
    assert {"train/learning_rate", "train/gradient_norm", "train/largest"} <= set(train)
    assert train["train/learning_rate"] == pytest.approx(1e-2)
    assert held_out["validation/rows"] == 8
    assert (whole / PICTURE).stat().st_size > 1000
    assert list((whole / "tensorboard").iterdir())


def test_batch_statistics_stay_once_they_are_frozen(tmp_path: Path, whole: Path) -> None:
    """From step 6 on; without freezing they move on."""
    run(plan(), tmp_path)
    for workdir, frozen in ((whole, True), (tmp_path, False)):
        at_10, at_12 = (
            {n: h for n, h in hashes(workdir, step).items() if ".norm." in n and "extra" in n}
            for step in (10, 12)
        )
        assert at_10
        assert (at_10 == at_12) == frozen


@pytest.mark.parametrize("stops", [(0,), (3, 6), (4, 5, 10)])
def test_a_stopped_run_goes_on_bit_for_bit(
    whole: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    """Between and at the steps of logging, saving, validating and of freezing; with dropout."""
    for stop in stops:
        assert run(plan(sigterm_before(stop), freeze=6, chunks=2), tmp_path) == signal.SIGTERM
        assert (tmp_path / CHECKPOINTS / str(stop + 1)).is_dir()
    assert run(plan(freeze=6, chunks=2), tmp_path) is None
    assert hashes(tmp_path, LAST) == hashes(whole, LAST)
    assert numbers(tmp_path) == numbers(whole)
    assert saved_model.load(tmp_path).content_hash == saved_model.load(whole).content_hash


def test_what_a_run_does_depends_on_its_seed_and_its_batches(whole: Path, tmp_path: Path) -> None:
    """Or equality would say nothing."""
    run(plan(Batches(bad={3}), freeze=6, chunks=2), tmp_path)
    assert hashes(tmp_path, LAST) != hashes(whole, LAST)


def test_a_run_that_is_done_stays_as_it_is(whole: Path) -> None:
    before = hashes(whole, LAST), numbers(whole)
    assert (
        run(plan(Batches({LAST: lambda: pytest.fail("asked for more")}), chunks=2), whole) is None
    )
    assert (hashes(whole, LAST), numbers(whole)) == before


def test_ctrl_c_is_told_apart(tmp_path: Path) -> None:
    batches = Batches({1: lambda: signal.raise_signal(signal.SIGINT)})
    assert run(plan(batches), tmp_path) == signal.SIGINT
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert (tmp_path / CHECKPOINTS / "2").is_dir()


@pytest.mark.parametrize(
    ("losses", "best"),
    [([3.0, 1.0, 2.0], 10), ([0.0, 1.0, -0.5], 12), ([1.0, math.nan, math.inf], 5)],
)
def test_the_model_is_the_best_by_held_out_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[float], best: int
) -> None:
    """Not the last and not the best in training; the checkpoint of that step is kept too."""
    scripted(monkeypatch, losses)
    assert run(plan(sigterm_before(6)), tmp_path) == signal.SIGTERM
    run(plan(), tmp_path)  # what was best is remembered
    assert provenance(tmp_path)["step"] == best
    assert provenance(tmp_path)["validation"] == {"loss": losses[[5, 10, 12].index(best)]}
    same = plan()
    abstract = state.abstract_state(same.task.build, same.optimizer, same.mesh)
    with Checkpoints(tmp_path / CHECKPOINTS) as checkpoints:
        assert checkpoints.best() == best
        kept = checkpoints.restore(abstract, best)
    assert kept is not None
    weights = saved_model.load(tmp_path).weights
    np.testing.assert_array_equal(weights["0.linear.kernel"], kept.state.params["linear"]["kernel"])


def test_a_loss_of_zero_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [0.0, 1.0, 1.0])
    run(plan(sigterm_before(6)), tmp_path)
    run(plan(), tmp_path)
    assert provenance(tmp_path)["step"] == 5


def test_a_run_that_ends_between_model_and_checkpoint_leaves_the_best_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two was not written, going on writes it."""
    for place in ("sleepfm_jax.saved_model.save", "sleepfm_jax.train.checkpoints.Checkpoints.save"):
        workdir = tmp_path / place

        def dies(*_: Any) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as broken:
            scripted(broken, [1.0])
            broken.setattr(place, dies)
            with pytest.raises(ZeroDivisionError):
                run(plan(checkpoint_every=100), workdir)
        scripted(monkeypatch, [1.0, 2.0, 3.0])
        run(plan(), workdir)
        assert provenance(workdir)["step"] == 5


def test_without_held_out_nights_the_newest_is_the_model(tmp_path: Path) -> None:
    run(plan(sigterm_before(3), held_out=False), tmp_path)
    assert provenance(tmp_path)["step"] == 4
    run(plan(held_out=False), tmp_path)
    assert provenance(tmp_path) == {"step": LAST, "validation": {}}
    assert steps_with(tmp_path, "validation/loss") == []


def test_steps_without_finite_numbers_are_counted_and_end_the_run(tmp_path: Path) -> None:
    """One alone is passed over; three in a row are too many."""
    with pytest.raises(InputError, match=r"3 steps in a row, up to step 10: lower") as caught:
        run(plan(Batches(bad={2, 7, 8, 9}), skipped_limit=3), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: the loss or its gradient was no finite")
    assert "\n" not in str(caught.value)
    skipped = {
        line["step"]: line["train/skipped"] for line in numbers(tmp_path) if "train/skipped" in line
    }
    assert skipped == {2: 0, 4: 1, 6: 1, 8: 2}
    assert run(plan(skipped_limit=3), tmp_path) is None  # the data are whole again
    assert steps_with(tmp_path, "train/loss") == [2, 4, 6, 8, 10, 12]
    assert (tmp_path / MODEL).is_dir()
