"""The objectives, pure functions of arrays: contrastive (spec §2), sleep stages and Cox (spec §3).

A contrastive term sets queries against keys; every sample of the batch is the others' negative. A
sample takes part in the terms whose modalities it has, and needs two.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

STAGE_WEIGHTS = (1.0, 4.0, 2.0, 4.0, 3.0)  # Wake, N1, N2, N3, REM, as published
TIES = ("breslow", "efron", "published")
NEVER = -1.0  # the time of a subject about whom a label knows nothing
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


def staging(
    logits: jax.Array, stages: jax.Array, weights: Sequence[float] = STAGE_WEIGHTS
) -> jax.Array:
    """Cross-entropy with class weights, over scored steps alone (spec §3).

    Args:
        logits: (B, T, 5).
        stages: (B, T), 0 Wake, 1 N1, 2 N2, 3 N3, 4 REM; negative where nothing is scored.
        weights: of the five stages.

    Returns:
        The weighted sum divided by the number of scored steps, not by the sum of their weights; 0
        without any.
    """
    exact = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    scored = stages >= 0  # (B, T)
    stage = jnp.maximum(stages, 0).astype(jnp.int32)
    own = jnp.take_along_axis(jax.nn.log_softmax(exact), stage[..., None], axis=-1)[..., 0]
    weight = jnp.asarray(weights, exact.dtype)[stage]
    return -jnp.where(scored, weight * own, 0.0).sum() / jnp.maximum(scored.sum(), 1)


def cox_partial_likelihood(
    log_hazard: jax.Array,
    time: jax.Array,
    event: jax.Array,
    ties: str = "breslow",
    order: jax.Array | None = None,
) -> jax.Array:
    """Negative log partial likelihood of Cox's model, for any number of labels at once (spec §3).

    At risk when a subject has its event is every subject whose time is not shorter, itself
    included. Of subjects that share a time the published code takes those that the batch lists
    before it; with Breslow's and Efron's ties all of them are at risk, in whatever order they come.

    Args:
        log_hazard: (B, L).
        time: (B, L) to the event or to the end of the follow-up; `NEVER` (or less than all other
            times) without event where nothing is known.
        event: (B, L), True where the time ends in the event.
        ties: for events that share a time, "breslow" or "efron"; or "published".
        order: (B, L) of `risk_order(time)`, to sort once where times never change.

    Returns:
        The mean over labels of each label's loss divided by its events; labels without events
        count as 0.
    """
    h = log_hazard.astype(jnp.promote_types(log_hazard.dtype, jnp.float32))
    order = risk_order(time) if order is None else order
    h, time, event = (jnp.take_along_axis(x, order, axis=0) for x in (h, time, event))
    at_risk = jax.lax.cumlogsumexp(h, axis=0)  # (B, L)
    if ties != "published":
        last = _last_of_ties(time)
        at_risk = jnp.take_along_axis(at_risk, last, axis=0)
        if ties == "efron":
            at_risk = at_risk + _efron(h, event, at_risk, last)
    events = event.sum(axis=0)  # (L,)
    each = jnp.where(event, at_risk - h, 0.0).sum(axis=0) / (events + 1e-9)
    return each.mean()


def risk_order(time: jax.Array) -> jax.Array:
    """(B, L) rows from the longest time to the shortest, label by label."""
    return jnp.argsort(-time, axis=0)


def _last_of_ties(time: jax.Array) -> jax.Array:
    """(B, L) last row that has the same time; times (B, L) descend."""
    B = time.shape[0]
    ends = jnp.concatenate([time[1:] != time[:-1], jnp.ones_like(time[:1], bool)])
    rows = jnp.where(ends, jnp.arange(B)[:, None], B)
    return jax.lax.cummin(rows, axis=0, reverse=True)


def _efron(h: jax.Array, event: jax.Array, at_risk: jax.Array, last: jax.Array) -> jax.Array:
    """(B, L) logarithm of the share of the risk set that Efron leaves to the k-th of d events."""
    labels = jnp.arange(h.shape[1])
    zeros = jnp.zeros_like(h)
    counted = jnp.cumsum(event, axis=0)  # (B, L)
    d = zeros.at[last, labels].add(event.astype(h.dtype))  # at the last row of each tie
    d = jnp.take_along_axis(d, last, axis=0)
    k = d - (jnp.take_along_axis(counted, last, axis=0) - counted) - 1  # from 0
    share = jnp.where(event, jnp.exp(h - at_risk), 0.0)
    tied = jnp.take_along_axis(zeros.at[last, labels].add(share), last, axis=0)
    return jnp.where(event, jnp.log1p(-jnp.where(event, k / jnp.maximum(d, 1), 0.0) * tied), 0.0)
