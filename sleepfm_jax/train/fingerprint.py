"""What a tree of arrays holds, as short text a name: type, shape and a hash of every bit.

The hash is a sum over positions, so it is the same on any mesh, and one pass over memory takes it.
"""

import functools
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

# Shifts and odd factors of two mixers without a fixed structure in common (murmur3, lowbias32).
MIXERS = (
    ((16, 0x85EBCA6B, 13, 0xC2B2AE35, 16), 0x9E3779B1),
    ((16, 0x7FEB352D, 15, 0x846CA68B, 16), 0xB5297A4D),
)


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by dotted path, such as `params.encoder.0.kernel`.

    Raises:
        ValueError: two leaves have the same path.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    found = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    if len(found) != len(leaves):
        raise ValueError("two arrays of the tree have the same dotted path")
    return found


def signature(tree: Any) -> dict[str, str]:
    """Type and shape of every leaf by dotted path: `float32[3,4]`; leaves may be abstract."""
    return {
        name: f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
        for name, leaf in named(tree).items()
    }


def hashes(tree: Any) -> dict[str, str]:
    """Hash of every array by dotted path, 16 hexadecimal digits.

    A change of a single word always changes its array's hash, any other change is missed once in
    2^64. It does not depend on how the array is laid out over devices; where it lies on several
    processes, all of them have to call this.

    Args:
        tree: jax or NumPy arrays of at most 8 bytes an element, typed keys among them.

    Raises:
        TypeError: an array is complex.
    """
    arrays = named(tree)
    spread = not all(getattr(leaf, "is_fully_addressable", True) for leaf in arrays.values())
    with jax.enable_x64(True):  # otherwise float64 of NumPy is rounded on its way in
        started = [_start(leaf, spread) for leaf in arrays.values()]
    found = np.zeros((len(arrays), 2), np.uint32)
    for total, parts in zip(found, jax.device_get(started), strict=True):
        for part in parts:
            total += part
    if spread:
        found = multihost_utils.process_allgather(found).sum(axis=0, dtype=np.uint32)
    return {n: f"{a:08x}{b:08x}" for n, (a, b) in zip(arrays, found.tolist(), strict=True)}


def fingerprint(tree: Any) -> str:
    """SHA-256 over paths, types, shapes and hashes: equal for equal trees on any mesh."""
    shapes = signature(tree)
    lines = sorted(f"{name} {shapes[name]} {value}\n" for name, value in hashes(tree).items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _start(leaf: Any, spread: bool) -> list[jax.Array]:
    """The sums (2,) of the parts of an array that this process answers for, being computed.

    No device waits for another: thousands of programs with collectives in flight can lock up.

    Args:
        leaf: an array.
        spread: the sums of all processes will be added up.
    """
    sharding = getattr(leaf, "sharding", None)
    if not isinstance(sharding, NamedSharding):
        return [_whole(leaf)] if jax.process_index() == 0 or not spread else []
    first = {shard.device for shard in leaf.addressable_shards if shard.replica_id == 0}
    sums = _sharded(sharding)(leaf)  # (devices, 2)
    return [shard.data[0] for shard in sums.addressable_shards if shard.device in first]


@jax.jit
def _whole(leaf: Any) -> jax.Array:
    words = _words(leaf)
    return _sums(words, words.shape, (0,) * words.ndim)


@functools.cache
def _sharded(sharding: NamedSharding) -> Any:
    """A program that sums every device's part of an array, in one pass and no communication."""
    mesh = sharding.mesh

    def run(leaf: jax.Array) -> jax.Array:
        words = _words(leaf)
        axes = (*sharding.spec, *[None] * (words.ndim - len(sharding.spec)))

        def part(block: jax.Array) -> jax.Array:
            start = [
                jax.lax.axis_index(axis) * size if axis else 0
                for axis, size in zip(axes, block.shape, strict=True)
            ]
            return _sums(block, words.shape, start)[None]  # (1, 2)

        over = jax.shard_map(
            part,
            mesh=mesh,
            in_specs=PartitionSpec(*axes),
            out_specs=PartitionSpec(mesh.axis_names),
            check_vma=False,
        )
        return over(words)  # (devices, 2)

    return jax.jit(run)


def _sums(words: jax.Array, shape: tuple[int, ...], start: Sequence[Any]) -> jax.Array:
    """(2,) sums of the mixed words modulo 2^32, one a mixer.

    Args:
        words: a block of an array.
        shape: of the whole array.
        start: where in it the block begins.
    """
    places = _places(words.shape, shape, start)
    mixed = [_mix(words ^ _mix(places * jnp.uint32(step), m), m) for m, step in MIXERS]
    return jnp.stack([m.sum(dtype=jnp.uint32) for m in mixed])


def _words(leaf: jax.Array) -> jax.Array:
    """The array's bits as uint32: its shape, with a last axis of 2 for 8-byte elements."""
    leaf = jnp.asarray(leaf)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if leaf.dtype == jnp.bool_:
        return leaf.astype(jnp.uint32)
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        raise TypeError("complex arrays have no hash")
    bits = min(32, 8 * leaf.dtype.itemsize)
    words = jax.lax.bitcast_convert_type(leaf, jnp.dtype(f"uint{bits}"))
    return words.astype(jnp.uint32)


def _places(block: tuple[int, ...], shape: tuple[int, ...], start: Sequence[Any]) -> jax.Array:
    """Every element's number within the whole array, in row order, modulo 2^32."""
    place = jnp.zeros(block, jnp.uint32)
    for axis, first in enumerate(start):
        stride = jnp.uint32(math.prod(shape[axis + 1 :]) % 2**32)
        index = jax.lax.broadcasted_iota(jnp.uint32, block, axis)
        place += (index + jnp.asarray(first).astype(jnp.uint32)) * stride
    return place


def _mix(words: jax.Array, mixer: tuple[int, ...]) -> jax.Array:
    """A bijection of the 32-bit words."""
    first, factor, second, other, third = mixer
    words = (words ^ (words >> first)) * jnp.uint32(factor)
    words = (words ^ (words >> second)) * jnp.uint32(other)
    return words ^ (words >> third)
