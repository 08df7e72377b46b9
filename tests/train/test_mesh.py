"""Meshes that fit their devices, and which part of a batch is this process's."""

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding

from sleepfm_jax.errors import InputError
from sleepfm_jax.train.mesh import BATCH, batch_shard, make_mesh, put_batch


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ((-1, 1, 1), (8, 1, 1)),
        ((-1, 2, 2), (2, 2, 2)),
        ((1, -1, 1), (1, 8, 1)),
        ((4, 1, -1), (4, 1, 2)),
    ],
)
def test_what_is_left_open_takes_the_rest(
    asked: tuple[int, int, int], made: tuple[int, int, int]
) -> None:
    assert tuple(make_mesh(*asked).shape.values()) == made


@pytest.mark.parametrize("asked", [(3, 1, 1), (-1, 3, 1), (-1, -1, 1), (0, 1, 1), (4, 4, 1)])
def test_what_does_not_fit_is_one_sentence(asked: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=r"does not fit 8 devices: set --config.mesh"):
        make_mesh(*asked)


@pytest.mark.parametrize("shape", [(8, 1, 1), (2, 2, 2), (1, 1, 8)])
def test_one_process_loads_the_whole_batch_and_splits_it(shape: tuple[int, int, int]) -> None:
    mesh = make_mesh(*shape)
    assert batch_shard(mesh) == (0, 1)
    rows = np.arange(16.0).reshape(8, 2)
    placed = put_batch({"rows": rows}, mesh)["rows"]
    assert placed.sharding == NamedSharding(mesh, BATCH)
    assert placed.sharding.shard_shape(placed.shape) == (8 // (shape[0] * shape[1]), 2)
    np.testing.assert_array_equal(jax.device_get(placed), rows)
