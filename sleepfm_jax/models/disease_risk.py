"""Log hazards of diseases from a night, from raw signals, or from age and sex alone (spec §3).

Nights come as stored 5-second embeddings of each modality; neither what is missing nor padding nor
batch neighbours change a night's numbers.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.batch_norm import Slots
from sleepfm_jax.models.dropout import Dropout
from sleepfm_jax.models.layers import Numerics, PositionalTable, dense, sinusoidal_table
from sleepfm_jax.models.night_pooling import pool_night, pool_steps
from sleepfm_jax.models.pooling import AttentionPooling
from sleepfm_jax.models.recurrent import BidirectionalLSTM
from sleepfm_jax.models.tokenizer import PATCH, Tokenizer


@dataclasses.dataclass(frozen=True)
class RiskConfig:
    """The size of a model of disease risk on embeddings; defaults are the released one's.

    Attributes:
        embed_dim: E, width of the embeddings.
        num_layers: LSTM layers.
        pooling_heads: attention heads of the pooling over modalities.
        feed_forward: hidden width of the pooling's feed-forward.
        dropout: rate while training.
        max_steps: rows of the positional table, which checkpoints carry and nothing uses.
        labels: L, diseases.
        demographics: D, numbers beside the night (age and sex); 0 for none.
    """

    embed_dim: int = 128
    num_layers: int = 2
    pooling_heads: int = 8
    feed_forward: int = 2048
    dropout: float = 0.3
    max_steps: int = 8196
    labels: int = 1065
    demographics: int = 2


@dataclasses.dataclass(frozen=True)
class DemographicRiskConfig:
    """The size of a model of disease risk from demographics alone.

    Attributes:
        embed_dim: E; demographics are embedded in E/4 numbers.
        dropout: rate while training.
        labels: L, diseases.
        demographics: D, numbers that describe a person.
    """

    embed_dim: int = 128
    dropout: float = 0.3
    labels: int = 1065
    demographics: int = 4


@dataclasses.dataclass(frozen=True)
class SupervisedRiskConfig:
    """The size of a model of disease risk on raw signals.

    Attributes:
        embed_dim: E, width of tokens.
        num_layers: LSTM layers.
        pooling_heads: attention heads of the pooling over channels.
        feed_forward: hidden width of the pooling's feed-forward.
        dropout: rate while training.
        labels: L, diseases.
        demographics: D, numbers beside the night (age and sex); 0 for none.
    """

    embed_dim: int = 128
    num_layers: int = 2
    pooling_heads: int = 8
    feed_forward: int = 2048
    dropout: float = 0.3
    labels: int = 1065
    demographics: int = 2


class Unused(nnx.Variable):
    """What checkpoints carry and no computation reads: kept, never trained."""


class DiseaseRisk(nnx.Module):
    """Pooling over modalities, LSTM, mean over the night, and demographics, to log hazards.

    Args:
        config: sizes.
        numerics: types and precision.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self, config: RiskConfig, numerics: Numerics | None = None, *, rngs: nnx.Rngs
    ) -> None:
        numerics = numerics or Numerics()
        E, dtype = config.embed_dim, jnp.dtype(numerics.param_dtype)
        self.config = config
        self.dtype = numerics.dtype
        self.spatial_pooling = AttentionPooling(
            E, config.pooling_heads, config.feed_forward, config.dropout, numerics, rngs=rngs
        )
        self.positions = PositionalTable(sinusoidal_table(config.max_steps, E))
        self.unused_scale = Unused(jnp.ones(E, dtype))
        self.unused_bias = Unused(jnp.zeros(E, dtype))
        self.risk = RecurrentRisk(config, numerics, rngs=rngs)

    def __call__(
        self,
        embeddings: jax.Array,
        present: jax.Array,
        steps: jax.Array,
        demographics: jax.Array | None = None,
    ) -> jax.Array:
        """Log hazards of nights.

        Args:
            embeddings: (B, M, T, E) of 5-s steps, as for a sleep stager.
            present: (B, M), True for the modalities a night has.
            steps: (B,) int, how many steps each night has.
            demographics: (B, D), encoded; None for a model without.

        Returns:
            (B, L).

        Raises:
            ValueError: demographics are missing, or the model takes none.
        """
        return self.risk.answer(self.night(embeddings, present, steps), demographics)

    def night(self, embeddings: jax.Array, present: jax.Array, steps: jax.Array) -> jax.Array:
        """What is known of nights (B, E) before demographics are joined to it."""
        pooled, _ = pool_night(
            self.spatial_pooling, embeddings.astype(self.dtype), present, steps
        )  # (B, T, E)
        return self.risk.mean(pooled, steps)


class SupervisedRisk(nnx.Module):
    """Tokenizer, pooling over all channels as one set, LSTM, mean over the night, to log hazards.

    Args:
        config: sizes.
        numerics: types and precision.
        remat: whether the backward pass computes the inside of each tokenizer block again.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        config: SupervisedRiskConfig,
        numerics: Numerics | None = None,
        remat: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        numerics = numerics or Numerics()
        E = config.embed_dim
        self.config = config
        self.dtype = numerics.dtype
        self.tokenizer = Tokenizer(E, numerics, remat, rngs=rngs)
        self.spatial_pooling = AttentionPooling(
            E, config.pooling_heads, config.feed_forward, config.dropout, numerics, rngs=rngs
        )
        self.risk = RecurrentRisk(config, numerics, rngs=rngs)

    def __call__(
        self,
        signals: jax.Array,
        modality: jax.Array,
        patches: jax.Array | None = None,
        demographics: jax.Array | None = None,
    ) -> jax.Array:
        """Log hazards of recordings.

        Args:
            signals: (B, C, S·640), z-scored, 128 Hz; what empty slots and patches beyond `patches`
                hold does not matter.
            modality: (B, C) int, −1 an empty slot; which modality another one has does not matter.
            patches: (B,) int, how many patches of each recording are real; None if all are.
            demographics: (B, D), encoded; None for a model without.

        Returns:
            (B, L).

        Raises:
            ValueError: the signals are not a whole number of patches, demographics are missing, or
                the model takes none.
        """
        B, C, samples = signals.shape
        S = samples // PATCH
        if samples % PATCH or not S:
            raise ValueError(f"{samples} samples are not a whole number of patches of {PATCH}")
        patches = jnp.full(B, S) if patches is None else patches
        filled = modality >= 0  # (B, C)
        real = jnp.arange(S) < patches[:, None]  # (B, S)
        kept = filled[:, :, None] & real[:, None, :]  # (B, C, S)
        signals = jnp.where(jnp.repeat(kept, PATCH, axis=2), signals, 0).astype(self.dtype)
        tokens = self.tokenizer(signals, Slots(filled[..., None], real))  # (B, C, S, E)
        pooled = pool_steps(self.spatial_pooling, tokens, kept, skip_single=True)
        return self.risk(pooled, patches, demographics)


class RecurrentRisk(nnx.Module):
    """LSTM, mean over its real steps, demographics beside it, one linear layer."""

    def __init__(
        self, config: RiskConfig | SupervisedRiskConfig, numerics: Numerics, *, rngs: nnx.Rngs
    ) -> None:
        E, rate = config.embed_dim, config.dropout
        self.lstm = BidirectionalLSTM(E, E // 2, config.num_layers, rate, numerics, rngs=rngs)
        self.demographics: DemographicEmbedding | None = nnx.data(None)
        width = E
        if config.demographics:
            self.demographics = DemographicEmbedding(
                config.demographics, E // 4, rate, numerics, rngs=rngs
            )
            width += E // 4
        self.out = dense(width, config.labels, ("embed", None), numerics, rngs)

    def __call__(
        self, tokens: jax.Array, steps: jax.Array, demographics: jax.Array | None
    ) -> jax.Array:
        """Tokens (B, T, E), steps (B,) and demographics (B, D) to log hazards (B, L)."""
        return self.answer(self.mean(tokens, steps), demographics)

    def mean(self, tokens: jax.Array, steps: jax.Array) -> jax.Array:
        """Of the LSTM over a night's steps: tokens (B, T, E) and steps (B,) to (B, E)."""
        hidden = self.lstm(tokens, steps)  # (B, T, E), zeros beyond the steps
        exact = jnp.promote_types(hidden.dtype, jnp.float32)
        mean = hidden.sum(axis=1, dtype=exact) / jnp.maximum(steps, 1)[:, None]
        return mean.astype(hidden.dtype)

    def answer(self, mean: jax.Array, demographics: jax.Array | None) -> jax.Array:
        """Log hazards (B, L) of what is known of nights (B, E) and of people (B, D)."""
        if (demographics is None) != (self.demographics is None):
            raise ValueError("demographics are missing, or the model takes none")
        if self.demographics is not None and demographics is not None:
            mean = jnp.concatenate([mean, self.demographics(demographics)], axis=-1)
        return self.out(mean)


class DemographicEmbedding(nnx.Module):
    """Linear, ReLU, dropout."""

    def __init__(
        self, inputs: int, width: int, dropout: float, numerics: Numerics, *, rngs: nnx.Rngs
    ) -> None:
        self.linear = dense(inputs, width, (None, "embed"), numerics, rngs)
        self.dropout = Dropout(dropout, rngs=rngs)

    def __call__(self, demographics: jax.Array) -> jax.Array:
        """(B, D) to (B, E/4)."""
        return self.dropout(jax.nn.relu(self.linear(demographics)))


class DemographicRisk(nnx.Module):
    """Demographics alone to log hazards: what any model of nights has to beat.

    Args:
        config: sizes.
        numerics: types and precision.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self, config: DemographicRiskConfig, numerics: Numerics | None = None, *, rngs: nnx.Rngs
    ) -> None:
        numerics = numerics or Numerics()
        width = config.embed_dim // 4
        self.config = config
        self.demographics = DemographicEmbedding(
            config.demographics, width, config.dropout, numerics, rngs=rngs
        )
        self.out = dense(width, config.labels, ("embed", None), numerics, rngs)

    def __call__(self, demographics: jax.Array) -> jax.Array:
        """Demographics (B, D), encoded, to log hazards (B, L)."""
        return self.out(self.demographics(demographics))
