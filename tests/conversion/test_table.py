"""The conversion table: one line for every entry of PyTorch's and every array of the network."""

import json
import math

import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion import table
from conversion.models import reference_model
from conversion.published import of
from conversion.table import Transform
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.kinds import network_of
from sleepfm_jax.models.weights import shapes
from tests import golden
from tests.conversion import published

sizes = st.builds(
    lambda head, heads, pooling, layers, hidden, patches: FoundationConfig(
        embed_dim=2 * head * math.lcm(heads, pooling),
        num_heads=heads,
        num_layers=layers,
        pooling_heads=pooling,
        feed_forward=hidden,
        max_patches=patches,
    ),
    head=st.integers(1, 3),
    heads=st.integers(1, 4),
    pooling=st.integers(1, 4),
    layers=st.integers(1, 3),
    hidden=st.integers(1, 20),
    patches=st.integers(60, 130),
)


def test_the_released_checkpoints_entries_in_their_order() -> None:
    keys = json.loads((golden.DATA / "state_dict_keys.json").read_text())["SetTransformer"]
    mapped = table.foundation(golden.CONFIG)
    assert list(mapped) == list(keys)
    flax = shapes(lambda: SleepFM(golden.CONFIG, rngs=nnx.Rngs(0)))
    for key, (path, transform) in mapped.items():
        assert list(transform.to_torch(np.empty(flax[path], bool)).shape) == keys[key], key


@settings(max_examples=10, deadline=None)
@given(config=sizes)
def test_one_to_one_onto_the_networks_arrays(config: FoundationConfig) -> None:
    mapped = table.foundation(config)
    paths = [path for path, _ in mapped.values()]
    assert len(paths) == len(set(paths))
    assert set(paths) == set(shapes(lambda: SleepFM(config, rngs=nnx.Rngs(0))))
    assert list(mapped) == list(reference_model(config).state_dict())


@pytest.mark.parametrize("kind", published.HEADS)
def test_heads_are_one_to_one_onto_their_arrays(kind: str) -> None:
    config = published.HEADS[kind]
    mapped = of(config).table(config)
    paths = [path for path, _ in mapped.values()]
    assert len(paths) == len(set(paths))
    assert set(paths) == set(shapes(lambda: network_of(config, rngs=nnx.Rngs(0))))
    assert list(mapped) == list(reference_model(config).state_dict())


TRANSFORMS = {name: value for name, value in vars(table).items() if isinstance(value, Transform)}
SHAPES = {  # PyTorch's, Flax's
    "SAME": ((3,), (3,)),
    "LINEAR": ((5, 3), (3, 5)),
    "CONV": ((4, 2, 5), (5, 2, 4)),
    "LENGTH_FIRST": ((4, 320), (320, 4)),
    "SPLIT_HEADS": ((24, 8), (8, 3, 2, 4)),
    "SPLIT_BIAS": ((24,), (3, 2, 4)),
    "JOIN_HEADS": ((8, 8), (2, 4, 8)),
    "TABLE_ROWS": ((1, 6, 8), (6, 8)),
    "COUNTER": ((), ()),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_each_others_inverse(name: str) -> None:
    theirs, ours = SHAPES[name]
    transform = TRANSFORMS[name]
    array = np.arange(math.prod(theirs), dtype=np.int64).reshape(theirs)
    there = transform.to_flax(array, ours)
    assert there.shape == ours
    back = transform.to_torch(there)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_attention_heads_lie_where_pytorch_has_them() -> None:
    """Rows of `in_proj_weight` are query, key, value, and within each the heads one by one."""
    E, H, D = 8, 2, 4
    weight = np.arange(3 * E * E).reshape(3 * E, E)
    split = table.SPLIT_HEADS.to_flax(weight, (E, 3, H, D))
    for part, head, unit in np.ndindex(3, H, D):
        np.testing.assert_array_equal(
            split[:, part, head, unit], weight[part * E + head * D + unit]
        )
