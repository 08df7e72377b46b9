"""A small training state with every kind of array, laid out over any number of devices."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


@struct.dataclass
class State:
    step: Any
    params: Any
    extra: Any
    optimizer: Any


@functools.cache
def mesh(devices: int) -> Mesh:
    axes = (AxisType.Auto,)
    return jax.make_mesh((devices,), ("data",), axis_types=axes, devices=jax.devices()[:devices])


def values(seed: int) -> State:
    """A state on the default device; another one for each seed."""
    draw = np.random.default_rng(seed)

    def array(*shape: int, dtype: Any = np.float32) -> jax.Array:
        return jnp.asarray(draw.standard_normal(shape), dtype)

    params = {
        "network": {"layers": [{"kernel": array(16, 4)}, {"kernel": array(3, 5)}]},
        "temperature": array(),
    }
    extra = {
        "mean": array(8, dtype=jnp.bfloat16),
        "key": jax.random.key(seed),
        "keys": jax.random.split(jax.random.key(seed + 1), 8),
        "positions": array(16, 4),
        "nothing": {},
    }
    optimizer = optax.adam(1e-3).init(params)
    moved = jax.tree.map(lambda a: a + seed + 1, optimizer)
    return State(jnp.asarray(seed, jnp.int32), params, extra, moved)


@functools.cache
def abstract(devices: int) -> State:
    """Shapes, types and shardings: first axes are split where that is possible."""
    where = mesh(devices)

    def one(leaf: jax.Array) -> jax.ShapeDtypeStruct:
        split = leaf.ndim > 0 and leaf.shape[0] % devices == 0
        sharding = NamedSharding(where, PartitionSpec("data") if split else PartitionSpec())
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(one, values(0))


def state(seed: int, devices: int = 8) -> State:
    """The values of a seed, laid out over the devices of all processes."""
    return jax.tree.map(_put, values(seed), abstract(devices))


def _put(leaf: jax.Array, like: jax.ShapeDtypeStruct) -> jax.Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return _wrap(like.sharding)(np.asarray(jax.random.key_data(leaf)))
    held = np.asarray(leaf)
    return jax.make_array_from_callback(held.shape, like.sharding, lambda index: held[index])


@functools.cache
def _wrap(sharding: NamedSharding) -> Any:
    return jax.jit(jax.random.wrap_key_data, out_shardings=sharding)


def same(a: State, b: State) -> bool:
    """Whether every bit and every type is equal."""

    def bits(leaf: jax.Array) -> tuple[str, bytes]:
        keys = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        data = np.asarray(jax.random.key_data(leaf) if keys else leaf)
        return str(leaf.dtype), data.tobytes()

    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        bits(x) == bits(y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
