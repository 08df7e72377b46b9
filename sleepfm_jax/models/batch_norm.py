"""Batch norm as PyTorch counts its running statistics, over a batch or per modality (spec §2, §5).

The published pretraining calls the foundation model once a modality; one call over all slots gives
the same numbers if each modality keeps its own statistics and the running ones go in its order.
"""

import functools
from typing import Any, NamedTuple

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
    """Batch norm over the last axis, its statistics those of the whole batch while training.

    Args:
        features: size of the last axis.
        numerics: types.
        relu6: whether what comes out is clipped to 0 … 6.
    """

    def __init__(self, features: int, numerics: Numerics, relu6: bool = False) -> None:
        super().__init__(features, numerics)
        self.relu6 = relu6

    def __call__(
        self,
        x: jax.Array,
        rows: jax.Array | None = None,
        offset: jax.Array | None = None,
        centred: bool = False,
    ) -> jax.Array:
        """Normalises.

        Args:
            x: (B, …, F).
            rows: (B,) bool, which rows the statistics are of; None: all. The others must be finite.
            offset: (F,), missing in x. Training does not add it: it would be taken off again.
            centred: whether x has a mean of zero while training, and zeros in the other rows.

        Returns:
            the same shape, the other rows too.
        """
        if self.use_running_average:
            x = x if offset is None else x + offset
            y = self.normalise(x, Statistics(self.mean[...], self.var[...]))
            return jax.nn.relu6(y) if self.relu6 else y
        given = (self.scale[...], self.bias[...], self.relu6, centred)
        y, mean, var, values = normalised(x, rows, *given)
        self.update(mean if offset is None else mean + offset, var, values)
        return y.astype(self.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def normalised(
    x: jax.Array,
    rows: jax.Array | None,
    scale: jax.Array,
    bias: jax.Array,
    relu6: bool,
    centred: bool,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Batch norm by the batch's own statistics; its gradient keeps no more than x.

    Args:
        x: (B, …, F).
        rows: (B,) bool, which rows the statistics are of; None: all.
        scale: (F,).
        bias: (F,).
        relu6: whether what comes out is clipped to 0 … 6.
        centred: whether x has a mean of zero, and zeros in the other rows.

    Returns:
        (B, …, F) and mean (F,), biased variance (F,) and how many values they are of, through
        which no gradient goes.
    """
    return _normalised(x, rows, scale, bias, relu6, centred)[0]


def _normalised(
    x: jax.Array,
    rows: jax.Array | None,
    scale: jax.Array,
    bias: jax.Array,
    relu6: bool,
    centred: bool,
) -> Any:
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    axes = tuple(range(x.ndim - 1))
    values = jnp.asarray(len(x) if rows is None else rows.sum()) * (x[0].size // x.shape[-1])
    if centred:
        mean = jnp.zeros_like(scale, wide.dtype)  # (F,)
        var = jnp.square(wide).sum(axes) / jnp.maximum(values, 1)
    else:
        mean = mean_of(x, rows)
        var = mean_of(jnp.square(wide - mean), rows)
    y = (wide - mean) * (scale * jax.lax.rsqrt(var + EPSILON)) + bias
    y = jnp.clip(y, 0, 6) if relu6 else y
    return (y, mean, var, values), (x, rows, scale, bias, mean, var, values)


def mean_of(x: jax.Array, rows: jax.Array | None) -> jax.Array:
    """The mean over these rows, (B, …, F) to (F,), in float32 at least; zeros if there are none."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if rows is None:
        return wide.mean(range(x.ndim - 1))
    sums = wide.sum(range(1, x.ndim - 1))  # (B, F): rows are chosen where they are small
    values = rows.sum() * (x[0].size // x.shape[-1])
    return of_rows(sums, rows).sum(0) / jnp.maximum(values, 1)


def of_rows(x: jax.Array, rows: jax.Array | None) -> jax.Array:
    """(B, …) with zeros in other rows than these; None: all."""
    return x if rows is None else jnp.where(rows.reshape(-1, *(1 for _ in x.shape[1:])), x, 0)


def _gradients(relu6: bool, centred: bool, kept: Any, cotangents: Any) -> Any:
    x, rows, scale, bias, mean, var, values = kept
    axes = tuple(range(x.ndim - 1))
    rate = jax.lax.rsqrt(var + EPSILON)
    deviation = x.astype(mean.dtype)
    deviation = deviation if centred else deviation - mean
    g = cotangents[0]
    if relu6:
        y = deviation * (scale * rate) + bias
        g = jnp.where((y > 0) & (y < 6), g, 0)
    total, along = g.sum(axes), (g * deviation).sum(axes)  # (F,)
    share = 1 / jnp.maximum(values, 1).astype(mean.dtype)
    common = of_rows((total + deviation * (along * rate * rate)) * share, rows)
    of_x = (g - common) * (scale * rate)
    return of_x.astype(x.dtype), None, along * rate, total


normalised.defvjp(_normalised, _gradients)


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
