"""One token a step of a night out of those of its modalities or channels, many steps a turn."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.pooling import AttentionPooling

# Tokens that are pooled at a time: what their feed-forward computes stays in a CPU's cache.
POOLED_ON_CPU, POOLED_ELSEWHERE = 1024, 2**18


def pool_night(
    pooling: AttentionPooling, embeddings: jax.Array, present: jax.Array, steps: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """One token a step out of those of its modalities.

    Args:
        pooling: over modalities.
        embeddings: (B, M, T, E).
        present: (B, M) bool.
        steps: (B,) int.

    Returns:
        tokens (B, T, E), and (B, T) which steps are real.
    """
    real = jnp.arange(embeddings.shape[2]) < steps[:, None]  # (B, T)
    kept = present[:, :, None] & real[:, None, :]  # (B, M, T)
    # Masks further on multiply by zero, which no NaN would survive.
    embeddings = jnp.where(kept[..., None], embeddings, 0)
    return pool_steps(pooling, embeddings, kept), real


def pool_steps(
    pooling: AttentionPooling, tokens: jax.Array, kept: jax.Array, skip_single: bool = False
) -> jax.Array:
    """Tokens (B, C, T, E), of which `kept` (B, C, T) are real, to one a step (B, T, E).

    The feed-forward of a whole night would fill the memory and miss the cache: its steps go
    through in turns. Unlike the base model, the heads send a single modality through the layer too,
    unless `skip_single`.
    """
    B, C, T, E = tokens.shape
    size = POOLED_ON_CPU if jax.default_backend() == "cpu" else POOLED_ELSEWHERE
    K = -(-T * B * C // size)
    L = -(-T // K)
    fill = [(0, 0), (0, 0), (0, K * L - T), (0, 0)]
    tokens = jnp.pad(tokens, fill).reshape(B, C, K, L, E).transpose(2, 0, 3, 1, 4)
    member = jnp.pad(kept, fill[:3]).reshape(B, C, K, L).transpose(2, 0, 3, 1)  # (K, B, L, C)

    parts: Any = nnx.split(pooling, nnx.RngState, ...)
    graph, streams, rest = parts
    draw = pooling.layer.dropout.draw()

    @jax.checkpoint
    def turn(now: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        k, tokens, member = now
        own = streams if draw is None else _new_streams(streams, jax.random.fold_in(draw, k))
        network = nnx.merge(graph, own, rest, copy=True)
        tokens, member = tokens.reshape(B * L, C, E), member.reshape(B * L, C, 1)
        return network(tokens, member, skip_single).reshape(B, L, E)

    pooled = jax.lax.map(turn, (jnp.arange(K), tokens, member))  # (K, B, L, E)
    return pooled.swapaxes(0, 1).reshape(B, K * L, E)[:, :T]


def _new_streams(streams: nnx.State, key: jax.Array) -> nnx.State:
    """Random streams that start afresh, each from its own part of a key."""
    leaves, structure = jax.tree.flatten(streams)
    afresh = [
        jax.random.fold_in(key, n) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for n, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, afresh)
