"""Scaled dot-product attention; long sequences go in blocks of queries, never all (S, S) weights.

Whole, the weights of four heads over a night of 9 h (6480 steps) would fill 670 MB.
"""

import math

import jax
import jax.numpy as jnp

from sleepfm_jax.models.dropout import dropped

WHOLE = 512  # tokens that attend to each other all at once
# Weights of one block: they stay in a CPU's cache; accelerators want more at a time.
WEIGHTS_ON_CPU, WEIGHTS_ELSEWHERE = 2**20, 2**26
LEAST_ROWS = 16  # of a block, or matrix products starve


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array,
    precision: str,
    draw: jax.Array | None = None,
    rate: float = 0.0,
) -> jax.Array:
    """Values as each query weighs them.

    Args:
        query: (N, H, S, D).
        key: (N, H, S, D).
        value: (N, H, S, D).
        mask: (N, 1, S) or (N, S, S), True where a query (second axis) may see a key (last axis); a
            query always sees itself.
        precision: of matrix products.
        draw: random key of the weights' dropout; None for none.
        rate: of that dropout.

    Returns:
        (N, H, S, D).
    """
    N, H, S, D = query.shape
    if S <= WHOLE:
        return _weigh(query, key, value, mask | jnp.eye(S, dtype=bool), precision, draw, rate)
    weights = WEIGHTS_ON_CPU if jax.default_backend() == "cpu" else WEIGHTS_ELSEWHERE
    K = -(-S // max(LEAST_ROWS, weights // (N * H * S)))
    R = -(-S // K)
    fill = [(0, 0), (0, K * R - S), (0, 0)]
    query = jnp.pad(query, [(0, 0), *fill]).reshape(N, H, K, R, D)
    rows = None  # of the mask in each block, where queries see different keys
    if mask.shape[1] > 1:
        rows = jnp.moveaxis(jnp.pad(mask, fill).reshape(-1, K, R, S), 1, 0)

    @jax.checkpoint
    def block(turn: tuple[jax.Array, jax.Array, jax.Array | None]) -> jax.Array:
        k, query, seen = turn
        # What fills up the last block sees a key too, or its gradient would be NaN.
        row = jnp.minimum(k * R + jnp.arange(R), S - 1)
        own = row[:, None] == jnp.arange(S)  # (R, S)
        visible = (mask if seen is None else seen) | own
        fold = None if draw is None else jax.random.fold_in(draw, k)
        return _weigh(query, key, value, visible, precision, fold, rate)

    mixed = jax.lax.map(block, (jnp.arange(K), jnp.moveaxis(query, 2, 0), rows))
    return jnp.moveaxis(mixed, 0, 2).reshape(N, H, K * R, D)[:, :, :S]  # of (K, N, H, R, D)


def _weigh(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    visible: jax.Array,
    precision: str,
    draw: jax.Array | None,
    rate: float,
) -> jax.Array:
    """Queries (N, H, R, D) that see keys by `visible` (N, R, S) to (N, H, R, D)."""
    scale = 1.0 / math.sqrt(query.shape[-1])
    logits = jnp.matmul(query, key.swapaxes(-1, -2), precision=precision) * scale
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))  # (N, H, R, S)
    logits = jnp.where(visible[:, None], logits, -jnp.inf)
    weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
    if draw is not None:
        weights = dropped(weights, draw, rate)
    return jnp.matmul(weights, value, precision=precision)
