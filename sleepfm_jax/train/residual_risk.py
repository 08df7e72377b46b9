"""What the night adds to age and sex: a training form of `DiseaseRisk` for hundreds of subjects.

Age and sex are fitted first and fixed; the night's vector is standardised over the batch, so that
differences between nights, which are small beside those within one, reach the last layer. Both fold
into a plain `DiseaseRisk` afterwards.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax.models.disease_risk import (
    DemographicRisk,
    DemographicRiskConfig,
    DiseaseRisk,
    RiskConfig,
)
from sleepfm_jax.models.dropout import Dropout
from sleepfm_jax.models.layers import Numerics

OFFSET, NIGHT = "offset", "night"
SHARE = 0.1  # of the newest batch in what was seen
EPSILON = 1e-10  # the night's vector varies by 0.01 between nights


class ResidualRisk(nnx.Module):
    """Log hazards of age and sex, plus those of the standardised night.

    Args:
        config: of the `DiseaseRisk` that comes out, with demographics.
        numerics: types and precision.
        rngs: for initial weights and dropout.
    """

    def __init__(self, config: RiskConfig, numerics: Numerics, *, rngs: nnx.Rngs) -> None:
        alone = dataclasses.replace(config, demographics=0)
        self.night = DiseaseRisk(alone, numerics, rngs=rngs)
        # Random weights on a vector of unit variance are noise that decay takes long to remove.
        out: Any = self.night.risk.out
        for weights in (out.kernel, out.bias):
            weights[...] = jnp.zeros_like(weights[...])
        self.norm = Standardised(config.embed_dim)
        self.dropout = Dropout(config.dropout, rngs=rngs)
        self.offset = DemographicRisk(demographic_config(config), numerics, rngs=rngs)

    def __call__(
        self, embeddings: jax.Array, present: jax.Array, steps: jax.Array, demographics: jax.Array
    ) -> jax.Array:
        """As `DiseaseRisk`: (B, M, T, E), (B, M), (B,) and (B, D) to log hazards (B, L)."""
        night = self.norm(self.night.night(embeddings, present, steps))  # (B, E)
        fixed = jax.lax.stop_gradient(_without_dropout(self.offset, demographics))
        return self.night.risk.answer(self.dropout(night), None) + fixed


class Standardised(nnx.Module):
    """Zero mean and unit variance over the batch while training, over what was seen otherwise.

    What was seen is an average that begins with the first batch: from zeros and ones, as batch
    norms begin, it would take hundreds of steps to come down to variances this small.

    Args:
        features: size of the last axis.
    """

    def __init__(self, features: int) -> None:
        self.mean = nnx.BatchStat(jnp.zeros(features))
        self.var = nnx.BatchStat(jnp.ones(features))
        self.count = nnx.BatchStat(jnp.zeros((), jnp.int32))
        self.deterministic = False

    def set_view(self, deterministic: bool | None = None) -> None:
        """Lets `nnx.view(model, deterministic=True)` switch to what was seen.

        Whether a foundation model's batch statistics are frozen does not matter here.
        """
        if deterministic is not None:
            self.deterministic = deterministic

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, F) to the same."""
        mean, var = self.mean[...], self.var[...]
        if not self.deterministic:
            mean, var = x.mean(axis=0), x.var(axis=0)  # (F,)
            self._take_in(jax.lax.stop_gradient(mean), jax.lax.stop_gradient(var))
        return ((x - mean) * jax.lax.rsqrt(var + EPSILON)).astype(x.dtype)

    def _take_in(self, mean: jax.Array, var: jax.Array) -> None:
        share = jnp.maximum(1 / (self.count[...] + 1), SHARE)
        self.mean[...] += (share * (mean - self.mean[...])).astype(self.mean.dtype)
        self.var[...] += (share * (var - self.var[...])).astype(self.var.dtype)
        self.count[...] += 1


def demographic_config(config: RiskConfig) -> DemographicRiskConfig:
    """Size of the part of a model of risk that knows age and sex."""
    return DemographicRiskConfig(
        config.embed_dim, config.dropout, config.labels, config.demographics
    )


def fold(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of the `DiseaseRisk` that gives what a `ResidualRisk` gives without dropout.

    Args:
        arrays: by path in `ResidualRisk`.
    """
    night = {
        name.removeprefix(f"{NIGHT}."): array
        for name, array in arrays.items()
        if name.startswith(f"{NIGHT}.")
    }
    scale = 1 / np.sqrt(arrays["norm.var"].astype(np.float64) + EPSILON)  # (E,)
    kernel = night["risk.out.kernel"].astype(np.float64) * scale[:, None]  # (E, L)
    bias = night["risk.out.bias"] - arrays["norm.mean"].astype(np.float64) @ kernel
    both = np.concatenate([kernel, arrays[f"{OFFSET}.out.kernel"]])  # (E + E/4, L)
    return {
        **night,
        "risk.out.kernel": both.astype(np.float32),
        "risk.out.bias": (bias + arrays[f"{OFFSET}.out.bias"]).astype(np.float32),
        "risk.demographics.linear.kernel": arrays[f"{OFFSET}.demographics.linear.kernel"],
        "risk.demographics.linear.bias": arrays[f"{OFFSET}.demographics.linear.bias"],
    }


def _without_dropout(offset: DemographicRisk, demographics: jax.Array) -> jax.Array:
    hidden = jax.nn.relu(offset.demographics.linear(demographics))
    return offset.out(hidden.astype(jnp.promote_types(hidden.dtype, jnp.float32)))
