"""Transformer encoder layers that match PyTorch's `nn.TransformerEncoderLayer`.

Written out rather than taken from `nnx.MultiHeadAttention`, whose softmax is float32 whatever the
dtype: parity in float64 and one attention mask for channels and time need it (spec §1.2 to §1.5).
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from sleepfm_jax.models.attention import attend
from sleepfm_jax.models.dropout import Dropout

LAYER_NORM_EPSILON = 1e-5  # PyTorch's default; Flax's is 1e-6


@dataclasses.dataclass(frozen=True)
class Numerics:
    """How numbers are held and multiplied.

    Attributes:
        dtype: type of activations, "float32" or "bfloat16" ("float64" under `jax.enable_x64`).
        param_dtype: type of weights.
        precision: of matrix products, as in `jax.lax.Precision`; "highest" keeps float32 exact on
            accelerators that would otherwise round inputs to TensorFloat-32 or bfloat16.
    """

    dtype: str = "float32"
    param_dtype: str = "float32"
    precision: str = "highest"


class PositionalTable(nnx.Variable):
    """The sinusoidal table: stored in float32 with the model, never trained (spec §1.3)."""


def sinusoidal_table(length: int, width: int) -> jax.Array:
    """The table of a model born here, in float32 arithmetic as in published checkpoints.

    Returns:
        (length, width) float32: sine on even, cosine on odd features, base 10000.
    """
    position = np.arange(length, dtype=np.float32)[:, None]  # (S, 1)
    even = np.arange(0, width, 2, dtype=np.float32)
    rate = np.exp(even * np.float32(-math.log(10000.0) / width))  # (E/2,)
    table = np.zeros((length, width), np.float32)
    table[:, 0::2] = np.sin(position * rate)
    table[:, 1::2] = np.cos(position * rate)
    return jnp.asarray(table)


def uniform_fan_in(fan_in: int) -> Callable[..., jax.Array]:
    """PyTorch's default for kernels and biases: uniform within ±1/√fan_in."""
    bound = 1.0 / math.sqrt(fan_in)

    def init(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class LayerNorm(nnx.Module):
    """Layer norm with PyTorch's epsilon over the last axes, jointly if there are several.

    `nnx.LayerNorm` holds one axis of features only, and its fast variance loses digits where the
    mean is large.

    Args:
        shape: sizes of the axes that are normalised.
        numerics: types; statistics are float32 at least.
    """

    def __init__(self, shape: tuple[int, ...], numerics: Numerics) -> None:
        dtype = jnp.dtype(numerics.param_dtype)
        self.scale = nnx.Param(jnp.ones(shape, dtype))
        self.bias = nnx.Param(jnp.zeros(shape, dtype))
        self.axes = tuple(range(-len(shape), 0))
        self.dtype = numerics.dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """(…, *shape) to the same."""
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        centred = x - x.mean(self.axes, keepdims=True)
        variance = jnp.square(centred).mean(self.axes, keepdims=True)
        normal = centred * jax.lax.rsqrt(variance + LAYER_NORM_EPSILON)
        return (normal * self.scale[...] + self.bias[...]).astype(self.dtype)


class Linear(nnx.LinearGeneral):
    """`nnx.LinearGeneral` over the last axes, as a product of two matrices.

    With several axes of tokens, the gradient of the kernel sums over all of them at once, and XLA
    takes three times as long for it on CPU.
    """

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """(…, *inputs) to (…, *outputs)."""
        tokens = x.shape[: x.ndim - len(self.in_features)]
        y = super().__call__(x.reshape(-1, *self.in_features))
        return y.reshape(*tokens, *self.out_features)

    def product(self, x: jax.Array) -> jax.Array:
        """(…, *inputs) to (…, *outputs), without the bias."""
        x, kernel = self.promote_dtype((x, self.kernel[...]), dtype=self.dtype)
        axes = len(self.in_features)
        tokens = x.shape[: x.ndim - axes]
        x = x.reshape(-1, *self.in_features)
        contracted = (tuple(range(1, axes + 1)), tuple(range(axes)))
        y = jax.lax.dot_general(x, kernel, (contracted, ((), ())), precision=self.precision)
        return y.reshape(*tokens, *self.out_features)


def dense(
    inputs: int | tuple[int, ...],
    outputs: int | tuple[int, ...],
    axes: tuple[str | None, ...],
    numerics: Numerics,
    rngs: nnx.Rngs,
    kernel_init: Callable[..., jax.Array] | None = None,
) -> Linear:
    """A linear layer over the last axes with PyTorch's initial values.

    Args:
        inputs: sizes of the axes that are summed over.
        outputs: sizes of the axes that replace them.
        axes: logical name of each kernel axis, inputs first, for sharding.
        numerics: types and precision.
        rngs: for initial weights.
        kernel_init: of the kernel flattened to (inputs, outputs), if not the default.
    """
    ins = inputs if isinstance(inputs, tuple) else (inputs,)
    outs = outputs if isinstance(outputs, tuple) else (outputs,)
    default = uniform_fan_in(math.prod(ins))
    return Linear(
        ins,
        outs,
        axis=tuple(range(-len(ins), 0)),
        kernel_init=kernel_init or default,
        bias_init=default,
        dtype=jnp.dtype(numerics.dtype),
        param_dtype=jnp.dtype(numerics.param_dtype),
        precision=numerics.precision,
        kernel_metadata={"out_sharding": axes, "eager_sharding": False},
        bias_metadata={"out_sharding": axes[len(ins) :], "eager_sharding": False},
        rngs=rngs,
    )


class SelfAttention(nnx.Module):
    """Multi-head self-attention over a set or sequence of tokens."""

    def __init__(
        self, width: int, heads: int, dropout: float, numerics: Numerics, *, rngs: nnx.Rngs
    ) -> None:
        head = width // heads
        xavier = nnx.initializers.xavier_uniform()
        out_axes = ("heads", None, "embed")
        self.qkv = dense(
            width, (3, heads, head), ("embed", None, *out_axes[:2]), numerics, rngs, xavier
        )
        self.out = dense((heads, head), width, out_axes, numerics, rngs)
        self.dropout = Dropout(dropout, rngs=rngs)
        self.precision = numerics.precision

    def __call__(self, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        """Each token attends to the tokens its mask allows.

        Args:
            tokens: (N, S, E).
            mask: (N, 1, S) or (N, S, S), True where the query (second axis) may see the key (last
                axis). A query always sees itself, so that none is left without a key.

        Returns:
            (N, S, E).
        """
        query, key, value = jnp.moveaxis(self.qkv(tokens), (2, 3), (0, 2))  # 3 × (N, H, S, D)
        mixed = attend(
            query, key, value, mask, self.precision, self.dropout.draw(), self.dropout.rate
        )
        return self.out(mixed.swapaxes(1, 2))  # (N, S, E)


class EncoderLayer(nnx.Module):
    """Self-attention and a ReLU feed-forward, each with a residual and a layer norm.

    Dropout has PyTorch's four sites: attention weights, after attention, inside the feed-forward
    after ReLU, after the feed-forward.

    Args:
        width: E.
        heads: attention heads.
        feed_forward: hidden width of the feed-forward.
        dropout: rate at the four sites.
        pre_norm: norms before attention and feed-forward (True) or after the residuals (False).
        numerics: types and precision.
        remat: whether the backward pass computes the layer's inside again.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        pre_norm: bool,
        numerics: Numerics,
        remat: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.attention = SelfAttention(width, heads, dropout, numerics, rngs=rngs)
        self.up = dense(width, feed_forward, ("embed", "mlp"), numerics, rngs)
        self.down = dense(feed_forward, width, ("mlp", "embed"), numerics, rngs)
        self.norm1 = LayerNorm((width,), numerics)
        self.norm2 = LayerNorm((width,), numerics)
        self.dropout = Dropout(dropout, rngs=rngs)
        self.pre_norm = pre_norm
        self.remat = remat

    def feed_forward(self, tokens: jax.Array) -> jax.Array:
        """(…, E) to (…, E)."""
        hidden = jax.nn.relu(self.up(tokens))  # (…, F)
        return self.down(self.dropout(hidden))

    def __call__(self, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        """Tokens (N, S, E) and mask (N, 1 or S, S), as `SelfAttention`, to (N, S, E)."""
        call = nnx.remat(EncoderLayer._layer) if self.remat else EncoderLayer._layer
        return call(self, tokens, mask)

    def _layer(self, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        if self.pre_norm:
            tokens = tokens + self.dropout(self.attention(self.norm1(tokens), mask))
            return tokens + self.dropout(self.feed_forward(self.norm2(tokens)))
        tokens = self.norm1(tokens + self.dropout(self.attention(tokens, mask)))
        return self.norm2(tokens + self.dropout(self.feed_forward(tokens)))
