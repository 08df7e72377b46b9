"""Attention pooling: groups do not see each other, and each is the mean over its own tokens."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.pooling import AttentionPooling
from sleepfm_jax.models.weights import insert
from tests.models.small_network import distance, random_arrays

N, C, E, G = 2, 6, 8, 3
groups = st.lists(st.integers(-1, G - 1), min_size=C, max_size=C).map(np.array)


@functools.cache
def pooling() -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
    """The pooling, (tokens, groups, skip) → (N, G, E), and its layer: (tokens) → tokens."""
    with jax.enable_x64(True):
        numerics = Numerics("float64", "float64")

        def build() -> AttentionPooling:
            return AttentionPooling(E, 2, 16, 0.3, numerics, rngs=nnx.Rngs(0))

        module = insert(build, random_arrays(build))
        graph, state = nnx.split(nnx.view(module, deterministic=True))

    def pool(tokens: jax.Array, member: jax.Array, skip: bool) -> jax.Array:
        return nnx.merge(graph, state)(tokens, member, skip)

    def layer(tokens: jax.Array) -> jax.Array:
        mask = np.ones((len(tokens), 1, tokens.shape[1]), bool)
        return nnx.merge(graph, state).layer(tokens, mask)

    return jax.jit(pool, static_argnums=2), jax.jit(layer)


def pool(tokens: np.ndarray, group: np.ndarray, skip: bool = False) -> np.ndarray:
    with jax.enable_x64(True):
        member = group[..., None] == np.arange(G)
        return np.asarray(pooling()[0](tokens, np.broadcast_to(member, (N, C, G)), skip))


def tokens(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, C, E))


@pytest.mark.parametrize("skip", [True, False])
def test_each_group_is_the_mean_of_the_layer_over_its_own_tokens(skip: bool) -> None:
    group = np.array([0, 2, 2, 0, 1, 2])
    x = tokens(0)
    out = pool(x, group, skip)
    with jax.enable_x64(True):
        for g in range(G):
            own = x[:, group == g]
            alone = own if skip and g == 1 else np.asarray(pooling()[1](own))
            assert distance(out[:, g], alone.mean(axis=1)) < 1e-14


@pytest.mark.parametrize("skip", [True, False])
@settings(max_examples=30, deadline=None)
@given(group=groups, order=st.permutations(range(C)))
def test_order_and_other_groups_change_nothing(
    skip: bool, group: np.ndarray, order: list[int]
) -> None:
    x = tokens(1)
    out = pool(x, group, skip)
    np.testing.assert_allclose(pool(x[:, order], group[order], skip), out, rtol=0, atol=1e-13)
    for g in range(G):
        others = np.where((group == g)[:, None], x, 1e6 * tokens(2))
        np.testing.assert_array_equal(pool(others, group, skip)[:, g], out[:, g])


@settings(max_examples=30, deadline=None)
@given(group=groups)
def test_a_group_of_one_passes_through_only_where_asked(group: np.ndarray) -> None:
    x = tokens(3)
    skipped, through = pool(x, group, True), pool(x, group, False)
    for g in range(G):
        own = np.flatnonzero(group == g)
        if len(own) == 1:
            np.testing.assert_array_equal(skipped[:, g], x[:, own[0]])
            assert (through[:, g] != x[:, own[0]]).any()
        else:
            np.testing.assert_array_equal(skipped[:, g], through[:, g])
            assert through[:, g].any() == (len(own) > 0)


def test_bfloat16_rounds_a_mean_once() -> None:
    """60 equal tokens have themselves as their mean: shares of 1/60, rounded, would miss it."""
    numerics = Numerics("bfloat16")

    def build() -> AttentionPooling:
        return AttentionPooling(E, 2, 16, 0.0, numerics, rngs=nnx.Rngs(0))

    module = insert(build, random_arrays(build))
    x = jnp.broadcast_to(jnp.asarray(tokens(4)[:, :1], jnp.bfloat16), (N, 60, E))
    same = jnp.ones((N, 1, 60), bool)

    @jax.jit
    def run(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return module(x, jnp.ones((N, 60, 1))), module.layer(x, same)

    pooled, layer = run(x)
    assert pooled.dtype == jnp.bfloat16
    np.testing.assert_array_equal(pooled[:, 0], layer[:, 0])
