"""Sleep stages of a night every 5 seconds, from its stored embeddings (spec §3).

Neither what is missing nor padding nor batch neighbours change a night's numbers.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.layers import (
    EncoderLayer,
    LayerNorm,
    Numerics,
    PositionalTable,
    dense,
    sinusoidal_table,
)
from sleepfm_jax.models.night_pooling import pool_night
from sleepfm_jax.models.pooling import AttentionPooling
from sleepfm_jax.models.recurrent import BidirectionalLSTM

STAGES = 5  # Wake, N1, N2, N3, REM


@dataclasses.dataclass(frozen=True)
class StagingConfig:
    """The size of a sleep stager; defaults are the released one's.

    Attributes:
        embed_dim: E, width of the embeddings.
        num_heads: attention heads of the encoder.
        num_layers: encoder layers, and LSTM layers.
        pooling_heads: attention heads of the pooling over modalities.
        feed_forward: hidden width of every feed-forward.
        dropout: rate while training.
        max_steps: rows of the positional table; the longest night in 5-s steps.
        classes: stages.
    """

    embed_dim: int = 128
    num_heads: int = 4
    num_layers: int = 1
    pooling_heads: int = 4
    feed_forward: int = 2048
    dropout: float = 0.3
    max_steps: int = 8196
    classes: int = STAGES


class SleepStager(nnx.Module):
    """Pooling over modalities, encoder over the night, LSTM, one linear layer.

    Args:
        config: sizes.
        numerics: types and precision.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self, config: StagingConfig, numerics: Numerics | None = None, *, rngs: nnx.Rngs
    ) -> None:
        numerics = numerics or Numerics()
        E, hidden, rate = config.embed_dim, config.feed_forward, config.dropout
        self.config = config
        self.dtype = numerics.dtype
        self.spatial_pooling = AttentionPooling(
            E, config.pooling_heads, hidden, rate, numerics, rngs=rngs
        )
        self.positions = PositionalTable(sinusoidal_table(config.max_steps, E))
        self.norm = LayerNorm((E,), numerics)
        self.layers = nnx.List(
            [
                EncoderLayer(E, config.num_heads, hidden, rate, True, numerics, rngs=rngs)
                for _ in range(config.num_layers)
            ]
        )
        self.lstm = BidirectionalLSTM(E, E // 2, config.num_layers, rate, numerics, rngs=rngs)
        self.out = dense(E, config.classes, ("embed", None), numerics, rngs)

    def __call__(self, embeddings: jax.Array, present: jax.Array, steps: jax.Array) -> jax.Array:
        """Stages nights.

        Args:
            embeddings: (B, M, T, E) of 5-s steps; what stands in absent modalities and beyond a
                night's steps does not matter.
            present: (B, M), True for the modalities a night has.
            steps: (B,) int, how many steps each night has.

        Returns:
            logits (B, T, 5) of Wake, N1, N2, N3, REM; zeros beyond a night's steps.

        Raises:
            ValueError: T is more than `max_steps`.
        """
        T = embeddings.shape[2]
        if self.config.max_steps < T:
            raise ValueError(f"{T} steps are more than the model's {self.config.max_steps}")
        pooled, real = pool_night(
            self.spatial_pooling, embeddings.astype(self.dtype), present, steps
        )  # (B, T, E), (B, T)
        hidden = self.norm(pooled + self.positions[...][:T].astype(self.dtype))
        for layer in self.layers:
            hidden = layer(hidden, real[:, None, :])
        logits = self.out(self.lstm(hidden, steps))  # (B, T, 5)
        return jnp.where(real[..., None], logits, 0)
