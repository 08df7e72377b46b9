"""A model's arrays by dotted path (`layers.0.up.kernel`), out of the model and back into it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def shapes(build: Callable[[], nnx.Module]) -> dict[str, tuple[int, ...]]:
    """The shape of every stored array of the model that `build` makes, without making it."""
    _, stored, _ = _split(nnx.eval_shape(build))
    return {_name(path): variable.shape for path, variable in nnx.to_flat_state(stored)}


def extract(model: nnx.Module) -> dict[str, np.ndarray]:
    """Parameters, batch statistics and tables by dotted path; random streams are left out."""
    _, stored, _ = _split(model)
    return {_name(path): np.asarray(variable[...]) for path, variable in nnx.to_flat_state(stored)}


def insert(build: Callable[[], nnx.Module], arrays: Mapping[str, np.ndarray]) -> Any:
    """The model that `build` makes, holding the given arrays.

    Args:
        build: makes the model; it is only traced, its initial values are never computed.
        arrays: by dotted path, as `extract` gives them; cast to the model's types, except for
            integers and tables, which keep theirs.

    Raises:
        KeyError: an array is missing.
        ValueError: an array has another shape than the model's.
    """
    graph, stored, streams = _split(nnx.eval_shape(build))
    filled = [
        (path, variable.replace(_fit(_name(path), arrays[_name(path)], variable)))
        for path, variable in nnx.to_flat_state(stored)
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled), _new_streams(streams))


def _split(model: nnx.Module) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    graph, stored, *streams = nnx.split(model, nnx.Not(nnx.RngState), ...)
    return graph, stored, streams[0]


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path)


def _fit(name: str, array: np.ndarray, variable: nnx.Variable) -> jax.Array:
    if array.shape != variable.shape:
        raise ValueError(f"{name} has shape {array.shape}, the model's has {variable.shape}")
    return jnp.asarray(array, variable.dtype)


def _new_streams(streams: nnx.State) -> nnx.State:
    """Random streams start afresh, each with its own key: a stored model carries none."""
    leaves, structure = jax.tree.flatten(streams)
    return jax.tree.unflatten(structure, [_new_stream(n, leaf) for n, leaf in enumerate(leaves)])


def _new_stream(n: int, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key(n)
    return jnp.zeros(leaf.shape, leaf.dtype)
