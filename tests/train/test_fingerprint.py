"""A hash of arrays that sees every bit and not how they lie over devices."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from sleepfm_jax.train.fingerprint import fingerprint, hashes, named, signature

AXES = ("data", "fsdp", "tensor")
TYPES = ["float32", "float64", "int64", "bfloat16", "float16", "int8", "uint32", "bool"]
SHAPE = (8, 4, 3)


@functools.cache
def mesh(*shape: int) -> Mesh:
    devices = jax.devices()[: int(np.prod(shape))]
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def array(dtype: str, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    draw = np.random.default_rng(seed)
    if dtype == "bool":
        return draw.random(shape) < 0.5
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    size = int(np.prod(shape)) * kind.itemsize
    return np.frombuffer(draw.bytes(size), kind).reshape(shape)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "bool"])
def test_any_layout_has_the_same_hash(dtype: str) -> None:
    values = array(dtype)
    expected = hashes({"a": values})
    layouts = [
        (mesh(1, 1, 1), ("data",)),
        (mesh(2, 1, 1), ("data",)),
        (mesh(1, 4, 1), (None, ("data", "fsdp"))),
        (mesh(2, 2, 2), (("fsdp", "data"), "tensor")),
        (mesh(2, 2, 2), (("data", "fsdp"), "tensor")),
        (mesh(8, 1, 1), ()),
    ]
    with jax.enable_x64(True):
        for where, axes in layouts:
            laid_out = jax.device_put(values, NamedSharding(where, PartitionSpec(*axes)))
            assert hashes({"a": laid_out}) == expected, (where.shape, axes)


def test_random_keys_are_hashed_by_their_data() -> None:
    keys = jax.random.split(jax.random.key(1), 8)
    sharded = jax.device_put(keys, NamedSharding(mesh(2, 2, 2), PartitionSpec("data")))
    assert hashes({"k": keys}) == hashes({"k": sharded})
    assert hashes({"k": keys}) == hashes({"k": np.asarray(jax.random.key_data(keys))})
    assert hashes({"k": keys}) != hashes({"k": jax.random.split(jax.random.key(2), 8)})
    assert fingerprint(keys) != fingerprint(np.asarray(jax.random.key_data(keys)))


@settings(deadline=None, max_examples=60)
@given(
    dtype=st.sampled_from([t for t in TYPES if t != "bool"]),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_every_flipped_bit_is_seen(dtype: str, seed: int, data: st.DataObject) -> None:
    values = array(dtype, seed)
    flipped = values.copy()
    raw = flipped.view(np.uint8).reshape(-1)
    place = data.draw(st.integers(0, raw.size - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    assert hashes([values]) != hashes([flipped])


@settings(deadline=None, max_examples=40)
@given(order=st.permutations(range(12)))
def test_the_place_of_a_value_counts(order: list[int]) -> None:
    values = np.arange(12, dtype=np.int32)
    moved = values[list(order)]
    assert (hashes([values]) == hashes([moved])) == np.array_equal(values, moved)


def test_hashes_of_similar_arrays_do_not_meet() -> None:
    """10 000 arrays that differ in few bits: 32 bits alone would meet 0.01 times, 16 always."""
    many = [np.asarray([i % 100, i // 100], np.uint32) for i in range(10_000)]
    halves = [(h[:8], h[8:]) for h in hashes(many).values()]
    assert all(len(set(half)) > 9_990 for half in zip(*halves, strict=True))
    assert len(set(halves)) == 10_000


def test_what_is_no_number_is_hashed_by_its_bits() -> None:
    quiet, other = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    assert hashes([quiet]) != hashes([other])
    assert hashes([np.float32(0.0)]) != hashes([np.float32(-0.0)])


def test_names_types_and_shapes_are_part_of_the_fingerprint() -> None:
    values = np.zeros((2, 3), np.float32)
    trees: list[Any] = [
        {"a": values},
        {"b": values},
        {"a": values.reshape(3, 2)},
        {"a": values.view(np.int32)},
        {"a": values, "b": values[:0]},
        {},
    ]
    assert len({fingerprint(tree) for tree in trees}) == len(trees)
    assert fingerprint({"a": values}) == fingerprint({"a": jnp.asarray(values)})


def test_leaves_are_named_by_dotted_paths() -> None:
    tree = {"params": {"layers": [np.zeros(3), np.zeros((2, 1), np.int8)]}, "empty": {}}
    expected = {"params.layers.0": "float64[3]", "params.layers.1": "int8[2,1]"}
    assert signature(tree) == expected
    assert signature(jax.ShapeDtypeStruct((), jax.random.key(0).dtype)) == {"": "key<fry>[]"}
    with pytest.raises(ValueError, match="same dotted path"):
        named({"a": {"b": 1}, "a.b": 2})


def test_complex_arrays_are_refused() -> None:
    with pytest.raises(TypeError):
        hashes([np.zeros(2, np.complex64)])
