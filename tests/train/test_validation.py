"""Validation: one loss over all held-out windows, as at inference, however they are batched."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax import losses, saved_model
from sleepfm_jax.evaluate import retrieval
from sleepfm_jax.train import state
from sleepfm_jax.train.export import saved_model_of
from sleepfm_jax.train.mesh import make_mesh
from sleepfm_jax.train.pretraining import present
from sleepfm_jax.train.validation import Validation
from tests.train.small_run import SIZE, Run, arrays, batch, one_device, task

N = 14  # windows
EMPTY = {"signals": 0, "modality": -1, "patches": 0, "night": -1}


@functools.cache
def windows() -> dict[str, np.ndarray]:
    drawn = [batch(number, "float32") for number in (1, 2)]
    return {name: np.concatenate([one[name] for one in drawn])[:N] for name in EMPTY}


def batched(size: int) -> list[dict[str, np.ndarray]]:
    """The last batch is filled up with empty rows."""
    missing = -N % size
    filled = {
        name: np.concatenate([rows, np.full((missing, *rows.shape[1:]), EMPTY[name], rows.dtype)])
        for name, rows in windows().items()
    }
    return [
        {name: rows[start : start + size] for name, rows in filled.items()}
        for start in range(0, N, size)
    ]


@functools.cache
def run(devices: int) -> tuple[Run, state.TrainState]:
    mesh = one_device() if devices == 1 else make_mesh(2, 2, 2)
    run = Run(task("float32"), mesh)
    return run, run.born()


def found(size: int, devices: int = 1) -> dict[str, float]:
    one, now = run(devices)
    graph = state.graphs(one.task.build).evaluate
    return Validation(graph, one.task, one.abstract, one.mesh, batched(size))(now)


@functools.cache
def expected() -> dict[str, float]:
    """By the exported model's inference on all windows at once, then loss and retrieval."""
    _, now = run(1)
    network = saved_model.build(saved_model_of(now.params, now.extra, SIZE, {}))
    graph, weights = nnx.split(network)
    embed = jax.jit(lambda weights, *inputs: nnx.merge(graph, weights)(*inputs).pooled)
    w = windows()
    pooled = np.asarray(embed(weights, w["signals"], w["modality"], w["patches"]))
    held = np.asarray(present(w["modality"]))
    names = ["BAS", "RESP", "EKG", "EMG"]
    searched = retrieval.retrieval(pooled, held).metrics(names)
    return {
        "loss": float(losses.leave_one_out(pooled, held, now.params["temperature"]).loss),
        **{f"retrieval/{name}": value for name, value in searched.items()},
    }


@pytest.mark.parametrize(("size", "devices"), [(7, 1), (4, 1), (8, 8)])
def test_the_numbers_are_those_of_all_windows_at_once(size: int, devices: int) -> None:
    seen = found(size, devices)
    assert seen["retrieval/candidates"] == expected()["retrieval/candidates"]
    for name, value in expected().items():
        assert seen[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    assert {name for name, value in seen.items() if not np.isfinite(value)} == set()
    assert {"accuracy", "temperature", "spread/BAS"} <= set(seen)


def test_it_changes_nothing_and_says_the_same_again() -> None:
    one, now = run(1)
    before = arrays(now)
    graph = state.graphs(one.task.build).evaluate
    validation = Validation(graph, one.task, one.abstract, one.mesh, batched(7))
    assert validation(now) == validation(now)
    after = arrays(now)
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
