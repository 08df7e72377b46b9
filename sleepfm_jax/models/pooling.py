"""Attention pooling: one post-norm encoder layer over a set of tokens, then means over its groups.

Pooling channels into modalities and patches into a window are the same operation (spec §1.2, §1.5).
"""

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.layers import EncoderLayer, Numerics


class AttentionPooling(nnx.Module):
    """Tokens attend within their group; each group is then averaged.

    Args:
        width: E.
        heads: attention heads.
        feed_forward: hidden width of the layer's feed-forward.
        dropout: rate at the layer's four sites.
        numerics: types and precision.
        remat: of the layer, as in `EncoderLayer`.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        numerics: Numerics,
        remat: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.layer = EncoderLayer(
            width, heads, feed_forward, dropout, False, numerics, remat, rngs=rngs
        )
        self.precision = numerics.precision

    def __call__(
        self, tokens: jax.Array, member: jax.Array, skip_single: bool = False
    ) -> jax.Array:
        """Pools each group of tokens.

        Args:
            tokens: (N, C, E).
            member: (N, C, G), 1 where token c belongs to group g; all zeros for an empty token.
            skip_single: whether the token of a group of one passes through as it is (spec §1.2).

        Returns:
            (N, G, E); zeros for a group without tokens.
        """
        member = member.astype(tokens.dtype)
        same = jnp.einsum("ncg,nkg->nck", member, member) > 0  # (N, C, C)
        hidden = self.layer(tokens, same)  # (N, C, E)
        count = member.sum(axis=1, dtype=jnp.float32)  # (N, G)
        if skip_single:
            alone = jnp.einsum("ncg,ng->nc", member, (count == 1).astype(member.dtype)) > 0
            hidden = jnp.where(alone[..., None], tokens, hidden)
        exact = jnp.promote_types(tokens.dtype, jnp.float32)  # 1/60 has no bfloat16
        total = jnp.einsum(
            "ncg,nce->nge",
            member,
            hidden,
            precision=self.precision,
            preferred_element_type=exact,
        )
        return (total / jnp.maximum(count, 1)[..., None]).astype(tokens.dtype)
