"""Batch norm as PyTorch counts its running statistics, over a batch or per modality (spec §2, §5).

The published pretraining calls the foundation model once a modality; one call over all slots gives
the same numbers if each modality keeps its own statistics and the running ones go in its order.
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


class RunningNorm(nnx.Module):
    """Scale, bias and running statistics, which follow PyTorch.

    Momentum is 0.1, the running variance the unbiased one; `count` is `num_batches_tracked`.

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

    def normalise(self, x: jax.Array, statistics: Statistics) -> jax.Array:
        """(…, F) with given statistics; returns the same shape."""
        mean, var = statistics
        factor = self.scale[...] * jax.lax.rsqrt(var + EPSILON)
        return ((x - mean) * factor + self.bias[...]).astype(self.dtype)

    def update(self, mean: jax.Array, var: jax.Array, values: jax.Array | int) -> None:
        """One step of the running statistics.

        Args:
            mean: (F,) of a batch.
            var: (F,), biased.
            values: how many each is of; nothing changes if there are none.
        """
        values = jnp.asarray(values, mean.dtype)
        unbiased = var * (values / jnp.maximum(values - 1.0, 1.0))
        rate = jnp.where(values > 0, MOMENTUM, 0.0)
        self.mean[...] += (rate * (mean - self.mean[...])).astype(self.mean.dtype)
        self.var[...] += (rate * (unbiased - self.var[...])).astype(self.var.dtype)
        self.count[...] += (values > 0).astype(self.count.dtype)


class BatchNorm(RunningNorm):
    """Batch norm over the last axis, its statistics those of the whole batch while training."""

    def __call__(self, x: jax.Array, rows: jax.Array | None = None) -> jax.Array:
        """Normalises.

        Args:
            x: (B, …, F).
            rows: (B,) bool, which rows the statistics are of; None: all. The others must be finite.

        Returns:
            the same shape, the other rows too.
        """
        if self.use_running_average:
            return self.normalise(x, Statistics(self.mean[...], self.var[...]))
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        axes = tuple(range(x.ndim - 1))
        if rows is None:
            mean = x.mean(axes)  # (F,)
            var = jnp.square(x - mean).mean(axes)
            self.update(mean, var, x.size // x.shape[-1])
            return self.normalise(x, Statistics(mean, var))
        real = rows.reshape(-1, *(1 for _ in axes))  # (B, …, 1)
        values = rows.sum() * (x[0].size // x.shape[-1])
        count = jnp.maximum(values, 1).astype(x.dtype)
        mean = (x * real).sum(axes) / count  # (F,)
        var = (jnp.square(x - mean) * real).sum(axes) / count
        self.update(mean, var, values)
        return self.normalise(x, Statistics(mean, var))


class ModalityBatchNorm(RunningNorm):
    """Batch norm over the last axis, one set of statistics a modality while training.

    The running ones take one step for each modality present in the batch, in modality order.
    """

    def __call__(self, x: jax.Array, statistics: Statistics) -> jax.Array:
        """Normalises (…, B, C, S, L, F) with given statistics; returns the same shape."""
        return self.normalise(x, statistics)

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
        for m in range(values.shape[0]):
            self.update(mean[m], var[m], values[m])
        return Statistics(of_slots(mean), of_slots(var))
