"""Pooling a night's modalities in turns is pooling them at once."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax.models import night_pooling
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.night_pooling import pool_steps
from sleepfm_jax.models.pooling import AttentionPooling
from sleepfm_jax.models.weights import insert
from tests.models.small_network import random_arrays

B, M, T, E = 2, 4, 12, 16
NUMERICS = Numerics("float64", "float64")
NIGHTS = np.random.default_rng(5).standard_normal((B, M, T, E))


def test_pooling_in_turns_changes_nothing() -> None:
    """Values and gradients; turns of five steps, the last one filled up."""

    def build() -> AttentionPooling:
        return AttentionPooling(E, 2, 32, 0.3, NUMERICS, rngs=nnx.Rngs(0))

    with jax.enable_x64(True):
        pooling = nnx.view(insert(build, random_arrays(build)), deterministic=True)
        graph, state = nnx.split(pooling)
        kept = np.random.default_rng(1).random((B, M, T)) < 0.7

        def total(state: nnx.State, x: jax.Array) -> Any:
            pooled = pool_steps(nnx.merge(graph, state), x, kept)
            return (pooled * np.cos(np.arange(E))).sum(), pooled

        def run() -> Any:
            by_weights = jax.value_and_grad(total, argnums=(0, 1), has_aux=True, allow_int=True)
            return jax.jit(by_weights)(state, NIGHTS)

        whole = run()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(night_pooling, "POOLED_ON_CPU", 5 * B * M)
            in_turns = run()
        assert whole[0][1].shape == (B, T, E)
        for ours, expected in zip(jax.tree.leaves(in_turns), jax.tree.leaves(whole), strict=True):
            if jnp.issubdtype(ours.dtype, jnp.floating):
                np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


def test_dropout_differs_between_turns_and_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal steps in different turns must not lose the same features."""
    monkeypatch.setattr(night_pooling, "POOLED_ON_CPU", 3 * M)  # three steps a turn

    def build() -> AttentionPooling:
        return AttentionPooling(E, 2, 32, 0.5, Numerics(), rngs=nnx.Rngs(0))

    pooling = insert(build, random_arrays(build))
    x, kept = np.ones((1, M, T, E), np.float32), np.ones((1, M, T), bool)
    run = nnx.jit(lambda pooling: pool_steps(pooling, x, kept)[0])
    first, second = np.asarray(run(pooling)), np.asarray(run(pooling))  # (T, E)
    assert len(np.unique(first.round(5), axis=0)) == T
    assert (abs(first - second) > 1e-6).any(axis=1).all()
