"""One training step, compiled once: functional, sharded, its state donated.

In chunks it keeps only the outputs of the network: forward chunk by chunk, one objective over all
outputs, then backward chunk by chunk. That is exact for every objective, contrastive ones included.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from sleepfm_jax.train.mesh import BATCH
from sleepfm_jax.train.state import TrainState, Tree, extra_of, model_of, shardings_of
from sleepfm_jax.train.tasks import Batch, Metrics, Task

TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
Gradients = tuple[jax.Array, Metrics, Tree, Tree]  # loss, metrics, gradients, extra


def train_step(
    graph: nnx.GraphDef,
    task: Task,
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
    mesh: Mesh,
    chunks: int = 1,
) -> TrainStep:
    """The compiled step (state, batch) → (state, metrics); it consumes the state it is given.

    A step whose loss or gradient is not finite leaves all but the counters as it was.

    Args:
        graph: the model's structure.
        task: forward pass and objective.
        optimizer: gradients to updates.
        abstract: shapes and shardings of the state.
        mesh: where the batch is split.
        chunks: forward and backward pass go through the batch in so many parts. Memory falls with
            them; the network runs forward twice. Batch statistics, unless frozen, and dropout are
            of each chunk; all else is equal to one chunk.
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        gradients = _whole if chunks == 1 else _chunked
        loss, metrics, slope, extra = gradients(graph, task, state, batch, chunks)
        norm = optax.tree.norm(slope)
        updates, opt_state = optimizer.update(slope, state.optimizer, state.params)
        updates = jax.tree.map(lambda u: u * state.rate_scale.astype(u.dtype), updates)
        params = optax.apply_updates(state.params, updates)
        moved = dataclasses.replace(state, params=params, extra=extra, optimizer=opt_state)
        finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved, state)
        bad = jnp.where(finite, 0, 1)
        counted = dataclasses.replace(
            kept,
            step=state.step + 1,
            skipped=state.skipped + bad,
            skipped_in_a_row=(state.skipped_in_a_row + 1) * bad,
        )
        logged = {"loss": loss, "gradient_norm": norm, "skipped": counted.skipped, **metrics}
        return counted, {**logged, "skipped_in_a_row": counted.skipped_in_a_row}

    shardings = shardings_of(abstract)
    return jax.jit(
        step,
        in_shardings=(shardings, NamedSharding(mesh, BATCH)),
        out_shardings=(shardings, NamedSharding(mesh, P())),
        donate_argnums=0,
    )


def forward_step(
    graph: nnx.GraphDef, task: Task, abstract: TrainState, mesh: Mesh
) -> Callable[[TrainState, Batch], jax.Array]:
    """The compiled evaluation pass (state, batch) → outputs (B, …), whole on every device."""

    def forward(state: TrainState, batch: Batch) -> jax.Array:
        return task.forward(model_of(graph, state.params, state.extra), batch)

    return jax.jit(
        forward,
        in_shardings=(shardings_of(abstract), NamedSharding(mesh, BATCH)),
        out_shardings=NamedSharding(mesh, P()),
    )


def _whole(graph: nnx.GraphDef, task: Task, state: TrainState, batch: Batch, _: int) -> Gradients:
    def compute(params: Tree) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        model = model_of(graph, params, state.extra)
        outputs = task.forward(model, batch)
        loss, metrics = task.objective(model, outputs, batch)
        return loss, (metrics, extra_of(model))

    (loss, (metrics, extra)), slope = jax.value_and_grad(compute, has_aux=True)(state.params)
    return loss, metrics, slope, extra


def _chunked(
    graph: nnx.GraphDef, task: Task, state: TrainState, batch: Batch, chunks: int
) -> Gradients:
    def forward(params: Tree, extra: Tree, chunk: Batch) -> tuple[jax.Array, Tree]:
        model = model_of(graph, params, extra)
        return task.forward(model, chunk), extra_of(model)

    def forward_chunk(extra: Tree, chunk: Batch) -> tuple[Tree, tuple[jax.Array, Tree]]:
        outputs, after = forward(state.params, extra, chunk)
        return after, (outputs, extra)

    parts = jax.tree.map(lambda x: _split(x, chunks), dict(batch))
    extra, (outputs, before) = jax.lax.scan(forward_chunk, state.extra, parts)

    def objective(params: Tree, outputs: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        model = model_of(graph, params, extra)
        loss, metrics = task.objective(model, outputs, batch)
        return loss, (metrics, extra_of(model))

    differentiate = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)
    (loss, (metrics, extra)), (slope, pulls) = differentiate(state.params, _join(outputs))

    def backward_chunk(slope: Tree, part: tuple[Batch, Tree, jax.Array]) -> tuple[Tree, None]:
        chunk, extra, pull = part
        _, back = jax.vjp(lambda params: forward(params, extra, chunk)[0], state.params)
        return jax.tree.map(jnp.add, slope, back(pull)[0]), None

    slope, _ = jax.lax.scan(backward_chunk, slope, (parts, before, _split(pulls, chunks)))
    return loss, metrics, slope, extra


def _split(x: jax.Array, chunks: int) -> jax.Array:
    """(B, …) to (chunks, B/chunks, …); every chunk takes its rows from all devices evenly."""
    return x.reshape(-1, chunks, *x.shape[1:]).swapaxes(0, 1)


def _join(x: Any) -> Any:
    """The inverse of `_split`."""
    return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])
