"""Four AdamW steps of published staging and diagnosis training, on eight devices."""

import functools
import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from conversion import table, weights
from sleepfm_jax.models.disease_risk import RiskConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.sleep_stager import StagingConfig
from sleepfm_jax.models.weights import shapes
from sleepfm_jax.saved_model import SavedModel, network_of
from sleepfm_jax.train import optimizers, state, step
from sleepfm_jax.train.diagnosis import Diagnosis
from sleepfm_jax.train.export import saved_model_of, start_from
from sleepfm_jax.train.mesh import make_mesh, put_batch
from sleepfm_jax.train.optimizers import OptimizerSettings
from sleepfm_jax.train.staging import Staging
from tests import golden
from tests.data import recipe

STEPS = 4
STAGING = StagingConfig(max_steps=512, dropout=0.0)
RISK = RiskConfig(max_steps=256, dropout=0.0)
LENGTHS = (50, 33, 41, 17)
ADAMW = OptimizerSettings("adamw", schedule="plateau", weight_decay=0.01, decay_all=True)
BOUND = 1e-9  # in float64; Adam's first steps are signs of gradients, of which float32 rounds some


def uniform(name: str, *shape: int) -> np.ndarray:
    return recipe.uniform(golden.SEED, name, shape)


def staging_batch(number: int, dtype: str) -> dict[str, np.ndarray]:
    return {
        "embeddings": golden.signal(f"ft_stage/{number}", 2, 4, 24, 128).astype(dtype),
        "present": np.ones((2, 4), bool),
        "steps": np.full(2, 24, np.int32),
        "stages": np.floor(5 * uniform(f"ft_stage_y/{number}", 2, 24)).astype(np.int8),
    }


def diagnosis_batch(number: int, dtype: str) -> dict[str, np.ndarray]:
    return {
        "embeddings": golden.signal(f"ft_diag/{number}", 4, 4, 57, 128).astype(dtype),
        "present": np.ones((4, 4), bool),
        "steps": np.array(LENGTHS, np.int32),
        "demographics": uniform(f"ft_diag_demo/{number}", 4, 2).astype(dtype),
        "time": (np.floor(3000 * uniform(f"ft_diag_time/{number}", 4, 1065)) + 1).astype(dtype),
        "event": uniform(f"ft_diag_event/{number}", 4, 1065) < 0.5,
    }


RUNS: dict[str, tuple[str, Any, Any, Callable, Callable, tuple[int, int, int]]] = {
    "staging": (
        "SleepEventLSTMClassifier", STAGING, table.staging, Staging, staging_batch, (1, 2, 4)
    ),
    "diagnosis": (
        "DiagnosisFinetuneFullLSTMCOXPHWithDemo",
        RISK,
        table.risk,
        functools.partial(Diagnosis, ties="published"),
        diagnosis_batch,
        (2, 2, 2),
    ),
}  # fmt: skip


def trajectory(name: str, dtype: str = "float64") -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The loss of each step, and the final state as published entries."""
    kind, size, entries, make, batch, ways = RUNS[name]
    with jax.enable_x64(dtype == "float64"):
        task = make(size, numerics=Numerics(dtype, dtype))
        mesh = make_mesh(*ways)
        optimizer = optimizers.make(ADAMW, lambda _: 1e-3, task.nonnegative)
        abstract = state.abstract_state(task.build, optimizer, mesh)
        published = golden.state_dict(kind)
        wanted = shapes(lambda: network_of(size, rngs=nnx.Rngs(0)))
        flax = weights.to_flax(published, entries(size), wanted)
        now = state.create_state(task.build, optimizer, mesh, seed=0)
        now = start_from(now, SavedModel(size, flax))
        run = step.train_step(state.graphs(task.build).train, task, optimizer, abstract, mesh)
        losses = []
        for number in range(STEPS):
            now, metrics = run(now, put_batch(batch(number, dtype), mesh))
            losses.append(float(metrics["loss"]))
        final = saved_model_of(now.params, now.extra, size, {})
        return np.array(losses), weights.to_torch(final.weights, entries(size))


@pytest.mark.parametrize("name", RUNS)
def test_training_follows_the_published_run(name: str) -> None:
    losses, final = trajectory(name)
    expected = np.load(golden.DATA / "finetune.npz")[f"{name}_losses"]
    off = np.abs(losses / expected - 1).max()
    print(f"{name}: losses off by {off:.1e} (relative)")
    assert off < BOUND
    triples = json.loads((golden.DATA / f"finetune_{name}_final.json").read_text())
    assert set(final) - set(triples) == {"positional_encoding.pe"}
    worst = {}
    for key, (norm, first, last) in triples.items():
        flat = final[key].astype(np.float64).ravel()
        triple = np.array([np.linalg.norm(flat), flat[0], flat[-1]])
        worst[key] = np.abs(triple - [norm, first, last]).max() / norm
    key = max(worst, key=worst.__getitem__)
    print(f"{name}: {worst[key]:.1e} of the norm at most, in {key}")
    assert worst[key] < BOUND
