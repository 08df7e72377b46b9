"""Dropout: the rate, chance without pattern, and masks that do not know how arrays are split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from sleepfm_jax.models.dropout import Dropout, kept

SHAPE = (128, 16, 256)
SIGMAS = 5


def mask(seed: int, rate: float = 0.3, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.asarray(kept(jax.random.key(seed), rate, shape))


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_share_of_elements_is_dropped(rate: float, seed: int) -> None:
    """Over all, and in every row and column no more unevenly than by chance."""
    dropped = ~mask(seed, rate)
    spread = np.sqrt(rate * (1 - rate))
    assert abs(dropped.mean() - rate) <= SIGMAS * spread / np.sqrt(dropped.size)
    for axis in range(3):
        others = tuple({0, 1, 2} - {axis})
        count = dropped.size / SHAPE[axis]
        shares = (dropped.mean(axis=others) - rate) / max(spread / np.sqrt(count), 1e-9)
        assert abs(shares).max() <= SIGMAS
        expected = 1.0 if rate else 0.0
        assert abs(np.square(shares).mean() - expected) < SIGMAS * np.sqrt(2 / SHAPE[axis])


def test_elements_are_independent_of_their_neighbours_and_of_other_keys() -> None:
    """Correlations at many distances, powers of two among them, and of 45 pairs of keys."""
    masks = np.stack([mask(seed, 0.5) for seed in range(10)]).reshape(10, -1)
    signs = np.where(masks, 1.0, -1.0)
    bound = SIGMAS / np.sqrt(signs.shape[1])
    correlation = signs @ signs.T / signs.shape[1]
    assert abs(correlation - np.eye(10)).max() < bound
    for distance in (1, 2, 3, 7, 64, 255, 256, 257, 1024, 4096, 65536):
        shifted = np.roll(signs, distance, axis=1)
        assert abs((signs * shifted).mean(axis=1)).max() < bound
        flipped = signs[:, np.arange(signs.shape[1]) ^ distance]  # keys are mixed in by xor
        assert abs((signs[:1] * flipped).mean(axis=1)).max() < bound


def test_a_mask_does_not_know_how_its_array_is_split() -> None:
    mesh = jax.make_mesh((4, 2), ("data", "tensor"), axis_types=(AxisType.Auto,) * 2)
    alone = mask(3)
    for spec in (P("data"), P(None, "data", "tensor"), P("tensor", None, "data")):
        draw = jax.jit(lambda key: kept(key, 0.3, SHAPE), out_shardings=NamedSharding(mesh, spec))
        np.testing.assert_array_equal(draw(jax.random.key(3)), alone)
        compiled = draw.lower(jax.random.key(3)).compile().as_text()
        assert "all-" not in compiled
        assert "collective" not in compiled


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_stays_is_scaled_and_every_call_drops_anew(dtype: str) -> None:
    module = Dropout(0.3, rngs=nnx.Rngs(0))
    x = jnp.ones(SHAPE, dtype)
    first, second = (np.asarray(module(x)) for _ in range(2))
    assert first.dtype == x.dtype
    assert set(np.unique(first)) == {0.0, np.asarray(x / 0.7).flat[0]}
    assert (first != second).mean() > 0.3
    for silent in (nnx.view(module, deterministic=True), Dropout(0.0, rngs=nnx.Rngs(0))):
        assert silent(x) is x
