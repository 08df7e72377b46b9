"""Five steps of published pretraining, step by step and entry by entry of the final state."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from conversion.models import export_checkpoint
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train import optimizers, state, step
from sleepfm_jax.train.export import saved_model_of, start_from
from sleepfm_jax.train.mesh import make_mesh, put_batch
from sleepfm_jax.train.optimizers import OptimizerSettings
from sleepfm_jax.train.pretraining import Pretraining
from tests import golden

CHANNELS = (3, 2, 1, 2)
BATCH, PATCHES, STEPS = 4, 6, 5
BOUNDS = {"float64": 1e-9, "float32": 1e-5}


def batch(number: int, dtype: str) -> dict[str, np.ndarray]:
    signals = [
        golden.signal(f"train/{number}/{modality.name}", BATCH, channels, PATCHES * 640)
        for modality, channels in zip(Modality, CHANNELS, strict=True)
    ]
    return {
        "signals": np.concatenate(signals, axis=1).astype(dtype),
        "modality": np.tile(np.repeat(np.arange(4, dtype=np.int8), CHANNELS), (BATCH, 1)),
        "patches": np.full(BATCH, PATCHES, np.int32),
        "night": np.arange(BATCH, dtype=np.int32),
    }


def trajectory(loss: str, dtype: str) -> tuple[list[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """The metrics of each step, and the final state as a published checkpoint."""
    with jax.enable_x64(dtype == "float64"):
        size = dataclasses.replace(golden.CONFIG, dropout=0.0)
        task = Pretraining(size, Numerics(dtype, dtype), loss)
        mesh = make_mesh(devices=jax.devices()[:1])
        optimizer = optimizers.make(
            OptimizerSettings(schedule="constant"), lambda _: 1e-3, task.nonnegative
        )
        abstract = state.abstract_state(task.build, optimizer, mesh)
        saved = golden.saved_model(dtype)
        now = state.create_state(task.build, optimizer, mesh, seed=0)
        now = start_from(now, SavedModel(size, {**saved.weights, "temperature": np.zeros(())}))
        run = step.train_step(state.graphs(task.build).train, task, optimizer, abstract, mesh)
        seen = []
        for number in range(STEPS):
            now, metrics = run(now, put_batch(batch(number, dtype), mesh))
            # The temperature that is logged is the step's own; the next one is the state's.
            metrics = {**metrics, "temperature": now.params["temperature"]}
            seen.append(jax.tree.map(np.asarray, metrics))
        final = saved_model_of(now.params, now.extra, size, {})
        return seen, export_checkpoint(final).state_dict


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("loss", ["leave_one_out", "pairwise"])
def test_training_follows_the_published_run(loss: str, dtype: str) -> None:
    seen, final = trajectory(loss, dtype)
    expected = np.load(golden.DATA / f"pretrain_{loss}.npz")
    losses = np.array([metrics["loss"] for metrics in seen]) * BATCH
    np.testing.assert_allclose(losses, expected["losses"], rtol=BOUNDS[dtype], atol=0)
    temperatures = np.array([metrics["temperature"] for metrics in seen])
    np.testing.assert_allclose(temperatures, expected["temperature"], rtol=0, atol=1e-9)
    for number, metrics in enumerate(seen):
        check_terms(loss, metrics, expected["terms"][number], expected["correct"][number], dtype)
    check_final(final, json.loads((golden.DATA / f"pretrain_{loss}_final.json").read_text()), dtype)
    off = np.abs(losses / expected["losses"] - 1).max()
    drift = np.abs(temperatures - expected["temperature"]).max()
    print(f"{loss} {dtype}: losses off by {off:.1e} (relative), temperature by {drift:.1e}")


def check_terms(
    loss: str, metrics: dict, terms: np.ndarray, correct: np.ndarray, dtype: str
) -> None:
    """Each term's loss and accuracy, both directions."""
    names = Pretraining(golden.CONFIG, loss=loss).terms
    for (row, column), name in zip(places(loss), names, strict=True):
        # The published code has the two directions of its accuracies swapped.
        for direction, where, swapped in (("row", row, column), ("column", column, row)):
            found = metrics[f"loss/{name}/{direction}"] * BATCH
            assert found == pytest.approx(terms[where], rel=BOUNDS[dtype])
            hits = round(float(metrics[f"accuracy/{name}/{direction}"]) * BATCH)
            assert hits == correct[swapped]


def places(loss: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the golden arrays hold the row and the column direction of each term."""
    if loss == "leave_one_out":
        return [((m, 0), (m, 1)) for m in range(4)]
    return [((i, j), (j, i)) for i in range(4) for j in range(i + 1, 4)]


def check_final(found: dict, expected: dict, dtype: str) -> None:
    """Norm, first and last value of every entry of the state dict, relative to the norm."""
    assert set(found) - set(expected) == {"positional_encoding.pe"}
    worst = {}
    for key, (norm, first, last) in expected.items():
        flat = found[key].astype(np.float64).ravel()
        triple = np.array([np.linalg.norm(flat), flat[0], flat[-1]])
        worst[key] = np.abs(triple - [norm, first, last]).max() / norm
    name = max(worst, key=worst.__getitem__)
    print(f"{dtype}: {worst[name]:.1e} of the norm at most, in {name}")
    assert worst[name] < BOUNDS[dtype]
