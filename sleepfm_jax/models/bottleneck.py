"""Bottlenecks and max-pools along the length, of which the towers over clips are made (spec §5).

Convolutions over the length are sums of shifted products: XLA's own depthwise convolutions are 15
to 60 times slower on CPU, forward and backward.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.batch_norm import BatchNorm, mean_of, of_rows
from sleepfm_jax.models.dropout import Dropout
from sleepfm_jax.models.layers import Numerics, dense, uniform_fan_in

TAPS = 3


def neighbours(x: jax.Array, stride: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What the three taps of a padded convolution see: (B, L, F) to 3 × (B, L / stride, F).

    Args:
        x: values; zeros are taken before the first and after the last.
        stride: 1 or 2; L is a multiple of it.
    """
    if stride == 1:
        zero = jnp.zeros_like(x[:, :1])
        before = jnp.concatenate([zero, x[:, :-1]], axis=1)
        return before, x, jnp.concatenate([x[:, 1:], zero], axis=1)
    B, L, F = x.shape
    pairs = x.reshape(B, L // 2, 2, F)
    even, odd = pairs[:, :, 0], pairs[:, :, 1]
    return jnp.pad(odd[:, :-1], [(0, 0), (1, 0), (0, 0)]), even, odd


def max_pool(x: jax.Array) -> jax.Array:
    """The largest of each value and its two neighbours along the length; (B, L, F) to the same.

    The first of equal ones is taken, and the gradient goes to it alone, as in PyTorch. Not by
    `jnp.maximum`: its gradient asks whether a value equals the maximum, and where XLA computes the
    value once more with other rounding, it equals none and the gradient is lost.
    """
    before = jnp.concatenate([x[:, :1], x[:, :-1]], axis=1)
    after = jnp.concatenate([x[:, 1:], x[:, -1:]], axis=1)
    larger = jnp.where(x > before, x, before)
    return jnp.where(after > larger, after, larger)


class DepthwiseConv(nnx.Module):
    """Three taps on each feature by itself, padding 1."""

    def __init__(self, features: int, stride: int, numerics: Numerics, *, rngs: nnx.Rngs) -> None:
        init = uniform_fan_in(TAPS)
        dtype = jnp.dtype(numerics.param_dtype)
        self.kernel = nnx.Param(init(rngs.params(), (TAPS, features), dtype))
        self.bias = nnx.Param(init(rngs.params(), (features,), dtype))
        self.stride = stride
        self.dtype = numerics.dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, L, F) to (B, L / stride, F), without the bias."""
        return convolved(x.astype(self.dtype), self.kernel[...].astype(self.dtype), self.stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolved(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Each feature with its own three taps: (B, L, F) and (3, F) to (B, L / stride, F)."""
    before, here, after = neighbours(x, stride)
    return before * kernel[0] + here * kernel[1] + after * kernel[2]


def _convolved(x: jax.Array, kernel: jax.Array, stride: int) -> Any:
    return convolved(x, kernel, stride), (x, kernel)


def _gradients(stride: int, kept: Any, g: jax.Array) -> Any:
    x, kernel = kept
    before, here, after = neighbours(g, 1)
    if stride == 1:
        of_x = after * kernel[0] + here * kernel[1] + before * kernel[2]
        of_kernel = [(after * x).sum((0, 1)), (here * x).sum((0, 1)), (before * x).sum((0, 1))]
        return of_x, jnp.stack(of_kernel)
    B, L, F = x.shape
    pairs = x.reshape(B, L // 2, 2, F)
    even, odd = pairs[:, :, 0], pairs[:, :, 1]
    of_x = jnp.stack([here * kernel[1], here * kernel[2] + after * kernel[0]], axis=2)
    of_kernel = [(after * odd).sum((0, 1)), (here * even).sum((0, 1)), (here * odd).sum((0, 1))]
    return of_x.reshape(B, L, F), jnp.stack(of_kernel)


convolved.defvjp(_convolved, _gradients)


class Bottleneck(nnx.Module):
    """To a larger width W, along the length feature by feature, and to the next width.

    Args:
        inputs: I, features that come in.
        outputs: O, features that go out.
        expansion: W / I.
        stride: 2 halves the length; at 1 what came in is added.
        dropout: rate of what is added to it.
        numerics: types and precision.
        remat: whether the backward pass computes the bottleneck's inside again.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        expansion: int,
        stride: int,
        dropout: float,
        numerics: Numerics,
        remat: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        wide = expansion * inputs
        self.up = dense(inputs, wide, ("embed", "mlp"), numerics, rngs)
        self.norm1 = BatchNorm(wide, numerics, relu6=True)
        self.along = DepthwiseConv(wide, stride, numerics, rngs=rngs)
        self.norm2 = BatchNorm(wide, numerics, relu6=True)
        self.down = dense(wide, outputs, ("mlp", "embed"), numerics, rngs)
        self.dropout = Dropout(dropout, rngs=rngs) if stride == 1 else None
        self.remat = remat

    def __call__(self, x: jax.Array, rows: jax.Array | None = None) -> jax.Array:
        """(B, L, I) to (B, L / stride, O); `rows` (B,) as in `BatchNorm`."""
        call = nnx.remat(Bottleneck._bottleneck) if self.remat else Bottleneck._bottleneck
        return call(self, x, rows)

    def _bottleneck(self, x: jax.Array, rows: jax.Array | None) -> jax.Array:
        y = self._widened(x, rows)  # (B, L, W)
        y = self.norm2(self.along(y), rows, self.along.bias[...])  # (B, L / stride, W)
        y = self.down(y)
        return y if self.dropout is None else x + self.dropout(y)

    def _widened(self, x: jax.Array, rows: jax.Array | None) -> jax.Array:
        """(B, L, I) to (B, L, W).

        In training the mean, which the norm takes off anyway, is taken off before: the input is
        narrower, and of what comes out squares alone are left to sum up.
        """
        if self.norm1.use_running_average:
            return self.norm1(self.up(x))
        middle = jax.lax.stop_gradient(mean_of(x, rows))  # (I,)
        y = self.up.product(of_rows(x - middle, rows))
        return self.norm1(y, rows, self.up(middle), centred=True)
