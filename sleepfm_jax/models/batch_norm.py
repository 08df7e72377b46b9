"""Batch norm whose training statistics are taken per modality over real channels (spec §2).

The published training calls the model once a modality; one call over all slots gives the same
numbers if each modality keeps its own statistics and the running ones are updated in its order.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.layers import Numerics

EPSILON = 1e-5
MOMENTUM = 0.1  # share of the new statistic, as PyTorch counts it


class Slots(NamedTuple):
    """Which slot holds which modality, and which patches are real.

    Attributes:
        member: (B, C, M), 1 where slot c of recording b belongs to modality m, else 0; an empty
            slot is a row of zeros.
        patches: (B, S), True for the patches that the recording really has.
    """

    member: jax.Array
    patches: jax.Array


class Statistics(NamedTuple):
    """Mean and biased variance: (F,) running ones, or (B, C, 1, 1, F) of each slot's modality."""

    mean: jax.Array
    var: jax.Array


class ModalityBatchNorm(nnx.Module):
    """Batch norm over the last axis, one set of statistics a modality while training.

    Running statistics follow PyTorch: momentum 0.1, unbiased variance, one update for each modality
    present in the batch, in modality order; `count` is PyTorch's `num_batches_tracked`.

    Args:
        features: size of the last axis.
        numerics: types.
    """

    def __init__(self, features: int, numerics: Numerics) -> None:
        dtype = jnp.dtype(numerics.param_dtype)
        self.scale = nnx.Param(jnp.ones(features, dtype))
        self.bias = nnx.Param(jnp.zeros(features, dtype))
        self.mean = nnx.BatchStat(jnp.zeros(features, dtype))
        self.var = nnx.BatchStat(jnp.ones(features, dtype))
        self.count = nnx.BatchStat(jnp.zeros((), jnp.int32))
        self.dtype = numerics.dtype
        self.use_running_average = False

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Lets `nnx.view(model, use_running_average=True)` switch to the running statistics."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, statistics: Statistics) -> jax.Array:
        """Normalises (…, B, C, S, L, F) with given statistics; returns the same shape."""
        mean, var = statistics
        factor = self.scale[...] * jax.lax.rsqrt(var + EPSILON)
        return ((x - mean) * factor + self.bias[...]).astype(self.dtype)

    def statistics(self, x: jax.Array, slots: Slots) -> Statistics:
        """What to normalise with: the batch's statistics while training, else the running ones.

        Args:
            x: (K, B, C, S/K, L, F), activations of K chunks of each recording's patches.
            slots: membership (B, C, M) and real patches (B, S).
        """
        if self.use_running_average:
            return Statistics(self.mean[...], self.var[...])
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        K, B, _, S, L, _ = x.shape
        member = slots.member.astype(x.dtype)
        patches = slots.patches.astype(x.dtype)
        real = patches.reshape(B, K, S).swapaxes(0, 1)[:, :, None, :, None, None]
        values = jnp.einsum("bcm,bs->m", member, patches) * L  # (M,)

        def modality_mean(sums: jax.Array) -> jax.Array:
            total = jnp.einsum("bcm,bcf->mf", member, sums, precision="highest")
            return total / jnp.maximum(values, 1.0)[:, None]  # (M, F)

        def of_slots(statistic: jax.Array) -> jax.Array:
            chosen = jnp.einsum("bcm,mf->bcf", member, statistic, precision="highest")
            return chosen[:, :, None, None, :]  # (B, C, 1, 1, F)

        mean = modality_mean((x * real).sum(axis=(0, 3, 4)))
        centred = (x - of_slots(mean)) * real
        var = modality_mean(jnp.square(centred).sum(axis=(0, 3, 4)))
        self._update_running(mean, var, values)
        return Statistics(of_slots(mean), of_slots(var))

    def _update_running(self, mean: jax.Array, var: jax.Array, values: jax.Array) -> None:
        unbiased = var * (values / jnp.maximum(values - 1.0, 1.0))[:, None]  # (M, F)
        for m in range(values.shape[0]):
            rate = jnp.where(values[m] > 0, MOMENTUM, 0.0)
            self.mean[...] += (rate * (mean[m] - self.mean[...])).astype(self.mean.dtype)
            self.var[...] += (rate * (unbiased[m] - self.var[...])).astype(self.var.dtype)
            self.count[...] += (values[m] > 0).astype(self.count.dtype)
