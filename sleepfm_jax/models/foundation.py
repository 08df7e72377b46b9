"""The SleepFM foundation model: channel slots in, embeddings of every modality out (spec §1).

A night is one array of slots, each tagged with its modality; one call answers for all modalities,
and neither empty slots nor batch neighbours change a recording's numbers (spec §6).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.batch_norm import Slots
from sleepfm_jax.models.layers import (
    EncoderLayer,
    LayerNorm,
    Numerics,
    PositionalTable,
    sinusoidal_table,
)
from sleepfm_jax.models.pooling import AttentionPooling
from sleepfm_jax.models.tokenizer import PATCH, Tokenizer

MODALITIES = 4  # BAS, RESP, EKG, EMG, numbered 0 to 3; −1 tags an empty slot


@dataclasses.dataclass(frozen=True)
class FoundationConfig:
    """The size of a foundation model; defaults are the released one's (4 831 656 parameters).

    Attributes:
        embed_dim: E, width of tokens and embeddings.
        num_heads: attention heads of the encoder.
        num_layers: encoder layers.
        pooling_heads: attention heads of both poolings.
        feed_forward: hidden width of every feed-forward.
        dropout: rate while training.
        max_patches: rows of the positional table; the longest window.
    """

    embed_dim: int = 128
    num_heads: int = 8
    num_layers: int = 6
    pooling_heads: int = 8
    feed_forward: int = 2048
    dropout: float = 0.3
    max_patches: int = 128


class Embeddings(NamedTuple):
    """What the model says of a batch of windows; absent modalities and patches are zeros.

    Attributes:
        pooled: (B, M, E), 5-minute embeddings.
        sequence: (B, M, S, E), 5-second embeddings.
        present: (B, M), True for the modalities the recording has.
    """

    pooled: jax.Array
    sequence: jax.Array
    present: jax.Array


class SleepFM(nnx.Module):
    """Tokenizer, pooling over channels, transformer over patches, pooling over patches.

    Args:
        config: sizes.
        numerics: types and precision.
        remat: whether the backward pass computes the inside of each tokenizer block and of each
            encoder layer again instead of keeping it in memory.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        config: FoundationConfig,
        numerics: Numerics | None = None,
        remat: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        numerics = numerics or Numerics()
        width, hidden, dropout = config.embed_dim, config.feed_forward, config.dropout
        self.config = config
        self.dtype = numerics.dtype
        self.tokenizer = Tokenizer(width, numerics, remat, rngs=rngs)
        self.spatial_pooling = AttentionPooling(
            width, config.pooling_heads, hidden, dropout, numerics, remat, rngs=rngs
        )
        self.positions = PositionalTable(sinusoidal_table(config.max_patches, width))
        self.norm = LayerNorm((width,), numerics)
        self.layers = nnx.List(
            [
                EncoderLayer(
                    width, config.num_heads, hidden, dropout, True, numerics, remat, rngs=rngs
                )
                for _ in range(config.num_layers)
            ]
        )
        self.temporal_pooling = AttentionPooling(
            width, config.pooling_heads, hidden, dropout, numerics, remat, rngs=rngs
        )

    def __call__(
        self, signals: jax.Array, modality: jax.Array, patches: jax.Array | None = None
    ) -> Embeddings:
        """Embeds a batch of windows.

        Args:
            signals: (B, C, S·640), z-scored, 128 Hz; what empty slots and patches beyond `patches`
                hold does not matter.
            modality: (B, C) int, 0 BAS, 1 RESP, 2 EKG, 3 EMG, −1 an empty slot.
            patches: (B,) int, how many patches of each window are real; None if all are.

        Returns:
            pooled (B, 4, E), sequence (B, 4, S, E), present (B, 4).

        Raises:
            ValueError: the window is not a whole number of patches or longer than `max_patches`.
        """
        B, C, T = signals.shape
        S = T // PATCH
        if T % PATCH or not 0 < S <= self.config.max_patches:
            raise ValueError(
                f"a window of {T} samples is not 1 to {self.config.max_patches} patches of {PATCH}"
            )
        member = modality[..., None] == jnp.arange(MODALITIES)  # (B, C, M)
        if patches is None:
            patches = jnp.full(B, S)
        real = jnp.arange(S) < patches[:, None]  # (B, S)
        present = member.any(axis=1)  # (B, M)
        # Masks further on multiply by zero, which neither an overflow nor a NaN would survive.
        kept = member.any(axis=2)[:, :, None] & real[:, None, :]  # (B, C, S)
        signals = jnp.where(jnp.repeat(kept, PATCH, axis=2), signals, 0)

        tokens = self.tokenizer(signals.astype(self.dtype), Slots(member, real))  # (B, C, S, E)
        pooled = self._pool_channels(tokens, member)  # (B·M, S, E)
        hidden = self.norm(pooled + self.positions[...][:S].astype(self.dtype))
        every = jnp.repeat(real, MODALITIES, axis=0)  # (B·M, S)
        for layer in self.layers:
            hidden = layer(hidden, every[:, None, :])
        window = self.temporal_pooling(hidden, every[..., None])  # (B·M, 1, E)
        return Embeddings(
            pooled=jnp.where(present[..., None], window.reshape(B, MODALITIES, -1), 0),
            sequence=jnp.where(
                (present[:, :, None] & real[:, None, :])[..., None],
                hidden.reshape(B, MODALITIES, S, -1),
                0,
            ),
            present=present,
        )

    def _pool_channels(self, tokens: jax.Array, member: jax.Array) -> jax.Array:
        """Tokens (B, C, S, E) to one token a modality and patch (B·M, S, E)."""
        B, C, S, E = tokens.shape
        tokens = tokens.swapaxes(1, 2).reshape(B * S, C, E)
        pooled = self.spatial_pooling(tokens, jnp.repeat(member, S, axis=0), skip_single=True)
        return pooled.reshape(B, S, MODALITIES, E).swapaxes(1, 2).reshape(B * MODALITIES, S, E)
