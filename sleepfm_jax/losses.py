"""Contrastive losses between the modalities of a window: pure functions of arrays (spec §2).

A term sets queries against keys; every sample of the batch is the others' negative. A sample takes
part in the terms whose modalities it has, and needs two.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp

FAR = -1e30  # a logit that takes no part; finite, so that gradients stay numbers


class Contrastive(NamedTuple):
    """A contrastive loss and what it is made of; K terms, each in two directions.

    Attributes:
        loss: mean cross-entropy over terms, directions and the samples that take part.
        terms: (K, 2) mean cross-entropy: queries among keys (rows), keys among queries (columns).
        accuracy: (K, 2) share of samples whose own partner is nearest, in the same directions.
        samples: (K,) how many samples take part.
    """

    loss: jax.Array
    terms: jax.Array
    accuracy: jax.Array
    samples: jax.Array


def leave_one_out(embeddings: jax.Array, present: jax.Array, temperature: jax.Array) -> Contrastive:
    """Each modality against the mean of the others that the sample has (spec §2).

    Args:
        embeddings: (B, M, E); normalised here. What absent modalities hold does not matter.
        present: (B, M), True for the modalities that a sample has.
        temperature: scalar t; similarities are scaled by exp(t).

    Returns:
        M terms, in the order of the modalities. The mean over absent partners is left out; with
        all present the loss is the published one divided by B.
    """
    unit = normalise(embeddings, present)  # (B, M, E)
    others = present.sum(axis=1, keepdims=True) - present  # (B, M)
    rest = (unit.sum(axis=1, keepdims=True) - unit) / jnp.maximum(others, 1)[..., None]
    return _contrast(unit, rest, present & (others > 0), temperature)


def pairwise(embeddings: jax.Array, present: jax.Array, temperature: jax.Array) -> Contrastive:
    """Each unordered pair of modalities, among the samples that have both (spec §2).

    Args:
        embeddings: (B, M, E); normalised here. What absent modalities hold does not matter.
        present: (B, M), True for the modalities that a sample has.
        temperature: scalar t; similarities are scaled by exp(t).

    Returns:
        M·(M − 1)/2 terms, in the order of `pairs(M)`.
    """
    unit = normalise(embeddings, present)  # (B, M, E)
    first, second = (jnp.array(side) for side in zip(*pairs(unit.shape[1]), strict=True))
    both = present[:, first] & present[:, second]  # (B, K)
    return _contrast(unit[:, first], unit[:, second], both, temperature)


def pairs(modalities: int) -> list[tuple[int, int]]:
    """The unordered pairs of modalities: (0, 1), (0, 2) and so on."""
    return list(itertools.combinations(range(modalities), 2))


def normalise(embeddings: jax.Array, present: jax.Array) -> jax.Array:
    """Unit vectors (B, M, E), in float32 at least; zeros, also as gradients, where absent."""
    exact = embeddings.astype(jnp.promote_types(embeddings.dtype, jnp.float32))
    kept = jnp.where(present[..., None], exact, 0.0)
    squares = jnp.square(kept).sum(axis=-1, keepdims=True)  # (B, M, 1)
    # At zero the norm has no gradient, and one NaN would spoil the batch.
    some = squares > 0
    return kept * jnp.where(some, jax.lax.rsqrt(jnp.where(some, squares, 1.0)), 0.0)


def _contrast(
    queries: jax.Array, keys: jax.Array, valid: jax.Array, temperature: jax.Array
) -> Contrastive:
    """Cross-entropy in both directions; queries and keys (B, K, E), valid (B, K)."""
    B = queries.shape[0]
    logits = jnp.einsum("ake,bke->kab", queries, keys, precision="highest")
    logits = logits * jnp.exp(temperature).astype(logits.dtype)  # (K, B, B)
    takes_part = valid.T  # (K, B)
    logits = jnp.where(takes_part[:, :, None] & takes_part[:, None, :], logits, FAR)
    both = jnp.stack([logits, logits.swapaxes(1, 2)], axis=1)  # (K, 2, B, B)
    own = jnp.diagonal(both, axis1=2, axis2=3)  # (K, 2, B)
    part = takes_part[:, None, :]  # (K, 1, B)
    entropy = jnp.where(part, jax.nn.logsumexp(both, axis=-1) - own, 0.0)  # (K, 2, B)
    hit = part & (both.argmax(axis=-1) == jnp.arange(B))
    samples = takes_part.sum(axis=1)  # (K,)
    each = jnp.maximum(samples, 1)[:, None]
    return Contrastive(
        loss=entropy.sum() / jnp.maximum(2 * samples.sum(), 1),
        terms=entropy.sum(axis=-1) / each,
        accuracy=hit.sum(axis=-1) / each,
        samples=samples,
    )
