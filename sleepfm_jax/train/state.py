"""All that a training step changes, born sharded: shapes → shardings → jitted initialisation.

No array ever exists unsharded; the same abstract state serves jit and restoring a checkpoint.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sleepfm_jax.train.mesh import WEIGHT_RULES

Build = Callable[[nnx.Rngs], nnx.Module]
Tree = Any  # nested dicts of arrays


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """What a checkpoint holds.

    Attributes:
        step: batches taken so far, skipped ones included.
        params: trained arrays, by path.
        extra: batch statistics, random streams and tables, by path.
        optimizer: the optimiser's state.
        skipped: steps whose loss or gradient was no number; they changed nothing else.
        skipped_in_a_row: of them, the latest without a good one between.
        rate_scale: by which a plateau schedule has lowered the learning rate; 1 at first.
    """

    step: jax.Array
    params: Tree
    extra: Tree
    optimizer: Tree
    skipped: jax.Array
    skipped_in_a_row: jax.Array
    rate_scale: jax.Array


class Graphs(NamedTuple):
    """One model's structure in three moods, all over the same state.

    Attributes:
        train: dropout, and batch statistics taken from the batch.
        frozen: dropout, and the running batch statistics, which stay as they are.
        evaluate: no dropout, running batch statistics.
    """

    train: nnx.GraphDef
    frozen: nnx.GraphDef
    evaluate: nnx.GraphDef


def graphs(build: Build) -> Graphs:
    """Structures of the model that `build` makes."""
    with nnx.use_eager_sharding(False):
        model = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    lenient: Any = {"raise_if_not_found": False}  # heads on embeddings have no batch statistics
    frozen = nnx.view(model, use_running_average=True, **lenient)
    evaluate = nnx.view(model, use_running_average=True, deterministic=True, **lenient)
    return Graphs(nnx.graphdef(model), nnx.graphdef(frozen), nnx.graphdef(evaluate))


def abstract_state(build: Build, optimizer: optax.GradientTransformation, mesh: Mesh) -> TrainState:
    """Shapes, types and shardings of the state (`jax.ShapeDtypeStruct` leaves)."""
    with nnx.use_eager_sharding(False):
        shapes = jax.eval_shape(functools.partial(_init, build, optimizer), jax.random.key(0))
    with nnx.logical_axis_rules(WEIGHT_RULES):
        shardings = nnx.get_named_sharding(shapes, mesh)
    return jax.tree.map(_sharded, _pure(shapes), _pure(shardings))


def create_state(
    build: Build, optimizer: optax.GradientTransformation, mesh: Mesh, seed: int
) -> TrainState:
    """A newborn state, each device making its own part; the same numbers on any mesh."""
    shardings = shardings_of(abstract_state(build, optimizer, mesh))
    with nnx.use_eager_sharding(False):
        init = jax.jit(lambda key: _pure(_init(build, optimizer, key)), out_shardings=shardings)
        return init(jax.random.key(seed))


def shardings_of(abstract: TrainState) -> TrainState:
    """The sharding of each array."""
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def model_of(graph: nnx.GraphDef, params: Tree, extra: Tree) -> Any:
    """The model, on copies of its arrays, as gradients need it."""
    return nnx.merge(graph, params, extra, copy=True)


def extra_of(model: nnx.Module) -> Tree:
    """Batch statistics, random streams and tables as a call has left them."""
    return nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.Param)))


def _init(build: Build, optimizer: optax.GradientTransformation, key: jax.Array) -> TrainState:
    parts: Any = nnx.split(build(nnx.Rngs(key)), nnx.Param, ...)
    _, params, extra = parts
    none = jnp.zeros((), jnp.int32)
    return TrainState(none, params, extra, optimizer.init(params), none, none, jnp.float32(1))


def _pure(tree: Any) -> Any:
    """Plain dicts instead of `nnx.State`: quick to hand to jit, clean names on disk."""

    def is_state(node: Any) -> bool:
        return isinstance(node, nnx.State)

    return jax.tree.map(
        lambda node: nnx.to_pure_dict(node) if is_state(node) else node, tree, is_leaf=is_state
    )


def _sharded(leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    """An axis that its mesh axis does not divide stays whole."""
    axes: list[str | None] = [
        axis if axis is None or size % sharding.mesh.shape[axis] == 0 else None
        for size, axis in zip(leaf.shape, sharding.spec, strict=False)
    ]
    whole = NamedSharding(sharding.mesh, PartitionSpec(*axes))
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole)
