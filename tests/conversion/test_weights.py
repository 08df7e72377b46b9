"""A state dict that does not fit: every unknown, missing and misshapen entry in one error."""

import numpy as np
import pytest
from flax import nnx

from conversion import table, weights
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.foundation import SleepFM
from sleepfm_jax.models.weights import shapes
from tests.conversion import published

TABLE = table.foundation(published.SMALL)
SHAPES = shapes(lambda: SleepFM(published.SMALL, rngs=nnx.Rngs(0)))


def arrays() -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in published.state_dict().items()}


def test_every_misfit_is_named_in_one_error() -> None:
    given = arrays()
    given["layer_norm.wait"] = given.pop("layer_norm.weight")
    del given["positional_encoding.pe"]
    given["patch_embedding.tokenizer.0.weight"] = np.zeros((4, 1, 3), np.float32)
    given["layer_norm.bias"] = np.zeros((1, 16), np.float32)
    with pytest.raises(InputError) as caught:
        weights.to_flax(given, TABLE, SHAPES)
    for part in (
        "layer_norm.wait is not part of the model",
        "layer_norm.weight is missing",
        "positional_encoding.pe is missing",
        "patch_embedding.tokenizer.0.weight has shape (4, 1, 3) instead of (4, 1, 5)",
        "layer_norm.bias has shape (1, 16) instead of (16,)",
        "give the checkpoint and the config.json of one model",
    ):
        assert part in str(caught.value)
    assert str(caught.value).count(" is missing") == 2
    assert str(caught.value).count(" has shape ") == 2
    assert str(caught.value).count(" is not part ") == 1


@pytest.mark.parametrize(
    "key", ["layer_norm.bias", "spatial_pooling.transformer_layer.linear1.bias"]
)
def test_a_shape_of_equal_size_is_still_misshapen(key: str) -> None:
    given = arrays()
    given[key] = given[key].reshape(2, -1)
    with pytest.raises(InputError, match=f"{key} has shape"):
        weights.to_flax(given, TABLE, SHAPES)


def test_arrays_that_the_table_lacks_are_named_on_the_way_back() -> None:
    flax = weights.to_flax(arrays(), TABLE, SHAPES)
    flax["layers.9.up.bias"] = flax.pop("layers.1.up.bias")
    with pytest.raises(InputError, match=r"layers\.1\.up\.bias, layers\.9\.up\.bias"):
        weights.to_torch(flax, TABLE)
