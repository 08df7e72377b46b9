"""A plateau lowers the rate as in PyTorch, early stopping ends a run; both resume exactly."""

import dataclasses
import math
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.train import loop
from sleepfm_jax.train.loop import CHECKPOINTS, Plan, run
from sleepfm_jax.train.patience import THRESHOLD, Patience
from tests.train.small_task import numbers, plan, sigterm_before

LOSSES = st.lists(st.sampled_from([2.0, 1.0, 1.0 - 5e-5, 0.9, 0.5, 0.1]), max_size=40)


@settings(deadline=None)
@given(losses=LOSSES, limit=st.integers(0, 4))
def test_the_rate_falls_where_pytorch_lets_it_fall(losses: list[float], limit: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=limit)
    ours, rate = Patience(limit, THRESHOLD), 1.0
    for loss in losses:
        schedule.step(loss)
        rate *= 0.5 if ours.runs_out(loss) else 1
        expected = optimizer.param_groups[0]["lr"]
        if expected > 1e-7:  # below, PyTorch no longer bothers
            assert rate == expected


@given(losses=LOSSES, limit=st.integers(-1, 3), cut=st.integers(0, 40))
def test_patience_goes_on_from_its_state(losses: list[float], limit: int, cut: int) -> None:
    whole, first, second = Patience(limit), Patience(limit), Patience(limit)
    said = [whole.runs_out(loss) for loss in losses]
    again = [first.runs_out(loss) for loss in losses[:cut]]
    second.set_state(first.get_state())
    assert again + [second.runs_out(loss) for loss in losses[cut:]] == said
    assert limit >= 0 or not any(said)


def test_a_loss_that_is_no_number_is_not_better() -> None:
    patience = Patience(0)
    assert patience.runs_out(math.nan)
    assert not patience.runs_out(-1.0)
    assert not patience.runs_out(-1.5)
    assert patience.runs_out(math.nan)


def scripted(monkeypatch: pytest.MonkeyPatch, losses: dict[int, float]) -> None:
    """Validations after a step find these losses."""

    def validate(_: object, state: object) -> dict[str, float]:
        return {"loss": losses[int(state.step)]}  # type: ignore[attr-defined]

    monkeypatch.setattr(loop.Validation, "__call__", validate)


def with_plateau(**given: object) -> Plan:
    return dataclasses.replace(plan(validate_every=2, log_every=1, **given), plateau=0)  # type: ignore[arg-type]


def test_updates_shrink_with_the_rate_and_a_run_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, {2: 1.0, 4: 2.0, 6: 0.5, 8: 0.6, 10: 0.7, 12: 0.8})
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run(with_plateau(), whole)
    rates = [line["train/learning_rate"] for line in numbers(whole) if "train/loss" in line]
    np.testing.assert_allclose(rates, [1e-2] * 4 + [1e-3] * 4 + [1e-4] * 2 + [1e-5] * 2, rtol=1e-6)
    assert run(with_plateau(batches=sigterm_before(8)), stopped) == signal.SIGTERM
    run(with_plateau(), stopped)
    assert numbers(stopped) == numbers(whole)
    untouched = tmp_path / "untouched"
    run(dataclasses.replace(with_plateau(), plateau=-1), untouched)
    losses = [[line.get("train/loss") for line in numbers(at)] for at in (whole, untouched)]
    assert losses[0][:6] == losses[1][:6]  # the lower rate shows one step later
    assert losses[0] != losses[1]


def test_a_run_ends_early_and_stays_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, {2: 1.0, 4: 0.9, 6: 0.95, 8: 1.0, 10: 0.1, 12: 0.1})
    early = plan(validate_every=2, stop_after=1)
    assert run(early, tmp_path) is None
    last = numbers(tmp_path)[-1]["step"]
    assert last == 8
    assert (tmp_path / CHECKPOINTS / "8").is_dir()
    assert run(plan(validate_every=2, stop_after=1), tmp_path) is None
    assert numbers(tmp_path)[-1]["step"] == last


def test_the_scale_of_updates_is_exact() -> None:
    """So that runs without a plateau are what they were."""
    updates = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    assert (np.asarray(jax.jit(lambda u, s: u * s)(updates, np.float32(1))) == updates).all()
