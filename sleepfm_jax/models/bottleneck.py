"""Bottlenecks and max-pools along the length, of which the towers over clips are made (spec §5).

Convolutions over the length are sums of shifted products: XLA's own depthwise convolutions are 15
to 60 times slower on CPU, forward and backward.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.batch_norm import BatchNorm
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
        """(B, L, F) to (B, L / stride, F)."""
        kernel, bias = self.kernel[...].astype(self.dtype), self.bias[...].astype(self.dtype)
        before, here, after = neighbours(x.astype(self.dtype), self.stride)
        return before * kernel[0] + here * kernel[1] + after * kernel[2] + bias


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
        self.norm1 = BatchNorm(wide, numerics)
        self.along = DepthwiseConv(wide, stride, numerics, rngs=rngs)
        self.norm2 = BatchNorm(wide, numerics)
        self.down = dense(wide, outputs, ("mlp", "embed"), numerics, rngs)
        self.dropout = Dropout(dropout, rngs=rngs) if stride == 1 else None
        self.remat = remat

    def __call__(self, x: jax.Array, rows: jax.Array | None = None) -> jax.Array:
        """(B, L, I) to (B, L / stride, O); `rows` (B,) as in `BatchNorm`."""
        call = nnx.remat(Bottleneck._bottleneck) if self.remat else Bottleneck._bottleneck
        return call(self, x, rows)

    def _bottleneck(self, x: jax.Array, rows: jax.Array | None) -> jax.Array:
        y = jax.nn.relu6(self.norm1(self.up(x), rows))  # (B, L, W)
        y = jax.nn.relu6(self.norm2(self.along(y), rows))  # (B, L / stride, W)
        y = self.down(y)
        return y if self.dropout is None else x + self.dropout(y)
