"""Arrays out of a model and back: nothing lost, nothing rounded, nothing that does not fit."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import extract, insert, shapes
from tests.models import small_network


def build() -> SleepFM:
    return small_network.blank()


def test_what_goes_in_comes_out() -> None:
    """In float64; the table stays float32, the counters whole numbers, random streams inside."""
    arrays = small_network.weights()
    with jax.enable_x64(True):
        out = extract(insert(lambda: small_network.blank(Numerics("float64", "float64")), arrays))
    assert {name: array.shape for name, array in out.items()} == shapes(build)
    assert out.keys() == arrays.keys()
    for name, array in arrays.items():
        assert out[name].dtype == array.dtype
        np.testing.assert_array_equal(out[name], array)


def test_arrays_take_the_models_type_but_integers_and_tables_keep_theirs() -> None:
    network = insert(
        lambda: small_network.blank(Numerics("bfloat16", "bfloat16")), small_network.weights()
    )
    types = {name: array.dtype for name, array in extract(network).items()}
    assert types.pop("positions") == np.float32
    counters = {name: types.pop(name) for name in list(types) if name.endswith(".count")}
    assert len(counters) == 6
    assert set(counters.values()) == {np.dtype("int32")}
    assert set(types.values()) == {jnp.dtype("bfloat16")}


def test_a_missing_array_is_named() -> None:
    arrays = {**small_network.weights()}
    del arrays["layers.1.up.bias"]
    with pytest.raises(KeyError, match=r"layers\.1\.up\.bias"):
        insert(build, arrays)


def test_a_misshapen_array_is_named_with_both_shapes() -> None:
    arrays = {**small_network.weights(), "norm.scale": np.ones(31)}
    with pytest.raises(ValueError, match=r"norm\.scale has shape \(31,\), the model's has \(32,\)"):
        insert(build, arrays)


def test_every_random_stream_has_a_key_of_its_own() -> None:
    """Equal keys would drop the same neurons in every layer."""
    network = insert(build, small_network.weights())
    keys = [jax.random.key_data(key) for key in jax.tree.leaves(nnx.state(network, nnx.RngKey))]
    assert len(keys) == 2 * (small_network.CONFIG.num_layers + 2)
    assert len(np.unique(keys, axis=0)) == len(keys)
    assert not np.any(jax.tree.leaves(nnx.state(network, nnx.RngCount)))


def test_the_released_size_has_4831656_parameters() -> None:
    """Counted from shapes; batch statistics and the positional table are no parameters."""
    stored = shapes(lambda: SleepFM(FoundationConfig(), rngs=nnx.Rngs(0)))
    parameters = {
        name: shape
        for name, shape in stored.items()
        if name.rsplit(".", 1)[-1] in ("kernel", "bias", "scale")
    }
    assert sum(math.prod(shape) for shape in parameters.values()) == 4_831_656
    others = {name.rsplit(".", 1)[-1] for name in stored.keys() - parameters.keys()}
    assert others == {"mean", "var", "count", "positions"}
