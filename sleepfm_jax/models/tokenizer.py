"""The CNN tokenizer: each 5-second patch of each channel alone becomes one token (spec §1.1).

Strided convolutions on few channels starve a matrix unit, so the first four are computed as banded
matrix products over blocks of neighbouring samples: the same sums, several times as fast.
"""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.batch_norm import ModalityBatchNorm, Slots
from sleepfm_jax.models.layers import LayerNorm, Numerics, dense, uniform_fan_in

PATCH = 640  # samples: 5 s at 128 Hz
CHANNELS = (1, 4, 8, 16, 32, 64, 128)
KERNEL = 5  # taps, at stride 2 and padding 2
BLOCK = 64  # outputs (positions × channels) that are enough to feed a matrix unit


def elu(x: jax.Array) -> jax.Array:
    """ELU by exp(x) − 1: 15 % faster than expm1 on CPU and as exact at the scale of its output."""
    negative = jnp.where(x > 0, 0.0, x)
    return jnp.where(x > 0, x, jnp.exp(negative) - 1.0)


def banded(kernel: jax.Array, positions: int) -> jax.Array:
    """The matrix that maps a block of inputs with its halo to `positions` outputs.

    Args:
        kernel: (K, I, O), taps × input × output channels, of a convolution with stride 2.
        positions: P, outputs a block.

    Returns:
        ((2P + 3) · I, P · O): rows are two samples before the block, its 2P samples and one after.
    """
    K, I, O = kernel.shape  # noqa: E741
    tap = jnp.arange(2 * positions + KERNEL - 2)[:, None] - 2 * jnp.arange(positions)  # (2P+3, P)
    taps = (tap[..., None] == jnp.arange(K)).astype(kernel.dtype)  # (2P+3, P, K)
    matrix = jnp.einsum("wpk,kio->wipo", taps, kernel, precision="highest")
    return matrix.reshape(-1, positions * O)


def banded_convolution(x: jax.Array, kernel: jax.Array, precision: str) -> jax.Array:
    """The convolution (N, L, I) to (N, L/2, O) as a product of each block with a banded matrix."""
    N, L, I = x.shape  # noqa: E741
    positions = BLOCK // kernel.shape[-1]
    x = x.reshape(N, L // (2 * positions), -1)  # (N, blocks, 2P·I)
    before = jnp.pad(x[:, :-1, -2 * I :], [(0, 0), (1, 0), (0, 0)])
    after = jnp.pad(x[:, 1:, :I], [(0, 0), (0, 1), (0, 0)])
    x = jnp.concatenate([before, x, after], axis=-1)  # (N, blocks, (2P+3)·I)
    x = jnp.matmul(x, banded(kernel, positions), precision=precision)  # (N, blocks, P·O)
    return x.reshape(N, L // 2, -1)


def plain_convolution(x: jax.Array, kernel: jax.Array, precision: str) -> jax.Array:
    """The convolution (N, L, I) to (N, L/2, O) as XLA does it."""
    layout = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (2,), ((2, 2),), dimension_numbers=layout, precision=precision
    )


class StridedConv(nnx.Module):
    """A convolution of 5 taps, stride 2, padding 2, over the samples of each patch."""

    def __init__(self, inputs: int, outputs: int, numerics: Numerics, *, rngs: nnx.Rngs) -> None:
        init = uniform_fan_in(KERNEL * inputs)
        dtype = jnp.dtype(numerics.param_dtype)
        self.kernel = nnx.Param(init(rngs.params(), (KERNEL, inputs, outputs), dtype))
        self.bias = nnx.Param(init(rngs.params(), (outputs,), dtype))
        self.dtype = numerics.dtype
        self.precision = numerics.precision

    def __call__(self, x: jax.Array) -> jax.Array:
        """(…, L, I) to (…, L/2, O)."""
        *batch, length, inputs = x.shape
        outputs = self.bias.shape[0]
        convolve = plain_convolution if outputs >= BLOCK else banded_convolution
        x = x.astype(self.dtype).reshape(-1, length, inputs)  # (N, L, I)
        x = convolve(x, self.kernel[...].astype(self.dtype), self.precision)  # (N, L/2, O)
        return x.reshape(*batch, length // 2, outputs) + self.bias[...].astype(self.dtype)


class TokenizerBlock(nnx.Module):
    """Convolution, batch norm, ELU, layer norm over (length, channels) jointly."""

    def __init__(
        self, inputs: int, outputs: int, length: int, numerics: Numerics, *, rngs: nnx.Rngs
    ) -> None:
        self.conv = StridedConv(inputs, outputs, numerics, rngs=rngs)
        self.batch_norm = ModalityBatchNorm(outputs, numerics)
        self.layer_norm = LayerNorm((length, outputs), numerics)

    def __call__(self, x: jax.Array, slots: Slots) -> jax.Array:
        """(B, C, S, L, I) to (B, C, S, L/2, O)."""
        return self.layer_norm(elu(self.batch_norm(self.conv(x), slots)))


class Tokenizer(nnx.Module):
    """Six blocks, the mean over what is left of the length, one linear layer.

    Args:
        width: E, of a token.
        numerics: types and precision.
        rngs: for initial weights.
    """

    def __init__(self, width: int, numerics: Numerics, *, rngs: nnx.Rngs) -> None:
        pairs = enumerate(itertools.pairwise(CHANNELS), start=1)
        self.blocks = nnx.List(
            [
                TokenizerBlock(inputs, outputs, PATCH >> halvings, numerics, rngs=rngs)
                for halvings, (inputs, outputs) in pairs
            ]
        )
        self.out = dense(CHANNELS[-1], width, (None, "embed"), numerics, rngs)

    def __call__(self, signals: jax.Array, slots: Slots) -> jax.Array:
        """Signals to tokens.

        Args:
            signals: (B, C, S·640), z-scored, 128 Hz.
            slots: which of them count in batch statistics.

        Returns:
            tokens (B, C, S, E).
        """
        B, C, T = signals.shape
        x = signals.reshape(B, C, T // PATCH, PATCH, 1)  # (B, C, S, 640, 1)
        for block in self.blocks:
            x = block(x, slots)
        return self.out(x.mean(axis=-2))  # (B, C, S, E)
