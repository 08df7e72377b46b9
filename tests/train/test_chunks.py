"""A step in chunks: one objective over the whole batch, and the gradient of what was computed.

The network is a small one with batch statistics and dropout; the objective is contrastive, so that
no row's gradient is its own affair.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax.train import optimizers, state
from sleepfm_jax.train.mesh import put_batch
from sleepfm_jax.train.optimizers import OptimizerSettings
from sleepfm_jax.train.step import train_step
from tests.train import small_run
from tests.train.small_task import LineTask

B, F = 8, 3
DESCENT = OptimizerSettings("sgd", 1.0, "constant", momentum=0.0)  # a step is the gradient


class Curve(nnx.Module):
    def __init__(self, dropout: float, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(F, F, param_dtype=jnp.float64, rngs=rngs)
        self.norm = nnx.BatchNorm(F, param_dtype=jnp.float64, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.tanh(self.dropout(self.norm(self.linear(x))))


@dataclasses.dataclass(frozen=True)
class Contrasted(LineTask):
    dropout: float = 0.0

    def build(self, rngs: nnx.Rngs) -> Any:
        return Curve(self.dropout, rngs)

    def objective(self, model: Any, outputs: jax.Array, batch: Any) -> tuple[jax.Array, Any]:
        logits = outputs @ outputs.T + model.linear.bias[...].sum() * batch["wanted"].sum()
        return (jax.nn.logsumexp(logits, axis=1) - jnp.diag(logits)).mean(), {"top": logits.max()}


def rows(number: int) -> dict[str, np.ndarray]:
    signals = np.random.default_rng(number).standard_normal((B, F))
    return {"signals": signals, "wanted": signals**2}


class Run:
    """A run of so many chunks from the same newborn state; inside `jax.enable_x64`."""

    def __init__(self, chunks: int, frozen: bool, dropout: float = 0.0) -> None:
        self.task = Contrasted(dropout)
        self.mesh = small_run.one_device()
        optimizer = optimizers.make(DESCENT, lambda _: 1.0, self.task.nonnegative)
        abstract = state.abstract_state(self.task.build, optimizer, self.mesh)
        graphs = state.graphs(self.task.build)
        self.graph = graphs.frozen if frozen else graphs.train
        self.born = state.create_state(self.task.build, optimizer, self.mesh, seed=3)
        self.step = train_step(self.graph, self.task, optimizer, abstract, self.mesh, chunks)

    def after(self, steps: int) -> tuple[dict[str, np.ndarray], list[float]]:
        now, losses = jax.tree.map(jnp.copy, self.born), []
        for number in range(steps):
            now, metrics = self.step(now, put_batch(rows(number), self.mesh))
            losses.append(float(metrics["loss"]))
        return small_run.arrays(now), losses


@pytest.mark.parametrize("chunks", [2, 4, 8])
def test_chunks_are_exact_with_frozen_batch_statistics(chunks: int) -> None:
    with jax.enable_x64(True):
        expected, losses = Run(1, frozen=True).after(3)
        found, seen = Run(chunks, frozen=True).after(3)
    np.testing.assert_allclose(seen, losses, rtol=1e-13)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-11, atol=1e-14)
    assert losses[0] != losses[1]


@pytest.mark.parametrize("chunks", [2, 4])
def test_batch_statistics_and_dropout_are_of_each_chunk(chunks: int) -> None:
    """The gradient is that of the loss through all chunks, each with its own masks."""
    with jax.enable_x64(True):
        run = Run(chunks, frozen=False, dropout=0.3)
        batch = {name: jnp.asarray(array) for name, array in rows(0).items()}

        def through_all(params: state.Tree) -> tuple[jax.Array, state.Tree]:
            extra, outputs = run.born.extra, []
            for n in range(chunks):
                model = state.model_of(run.graph, params, extra)
                outputs.append(
                    run.task.forward(model, {name: x[n::chunks] for name, x in batch.items()})
                )
                extra = state.extra_of(model)
            joined = jnp.stack(outputs, axis=1).reshape(B, F)
            model = state.model_of(run.graph, params, run.born.extra)
            return run.task.objective(model, joined, batch)[0], extra

        differentiate = jax.jit(jax.value_and_grad(through_all, has_aux=True))
        (loss, extra), slope = differentiate(run.born.params)
        before = small_run.arrays(run.born.params)
        slope, extra = small_run.arrays(slope), small_run.arrays(extra)
        after, seen = run.after(1)
    assert seen[0] == pytest.approx(float(loss), rel=1e-13)
    for name in slope:
        moved = before[name] - after[f".params{name}"]
        np.testing.assert_allclose(moved, slope[name], rtol=1e-9, atol=1e-13, err_msg=name)
    for name in extra:
        np.testing.assert_array_equal(after[f".extra{name}"], extra[name], err_msg=name)
    assert any(np.abs(array).max() > 1e-3 for array in slope.values())
