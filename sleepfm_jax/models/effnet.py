"""The networks of the ICML 2024 system: EfficientNet-style 1-D towers over clips (spec §5).

Convolutions over the length are sums of shifted products: XLA's own depthwise convolutions are 15
to 60 times slower on CPU, forward and backward.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.batch_norm import BatchNorm
from sleepfm_jax.models.dropout import Dropout
from sleepfm_jax.models.layers import Numerics, dense, uniform_fan_in

CLIP = 7680  # samples: 30 s at 256 Hz
SHORTEST = 256  # samples: stem and stages halve the length eight times
WIDTHS = (32, 16, 24, 40, 80, 112, 192, 320)  # of the stem, then of each stage
DEPTHS = (1, 2, 2, 3, 3, 3, 3)  # bottlenecks of each stage
POOLED = (1, 4)  # stages that a max-pool follows
EXPANSION = 6
FEATURES = 1280
TAPS = 3


@dataclasses.dataclass(frozen=True)
class EffNetConfig:
    """Sizes of the three towers that are trained against each other; the defaults are published.

    Attributes:
        respiratory: channels (CHEST, SaO2, ABD).
        sleep_stages: channels (C3-M2, C4-M1, O1-M2, O2-M1, E1-M2).
        ekg: channels.
        embed_dim: E, of an embedding.
        dropout: rate after residual bottlenecks and before the last linear layer.
    """

    respiratory: int = 3
    sleep_stages: int = 5
    ekg: int = 1
    embed_dim: int = 512
    dropout: float = 0.5

    @property
    def channels(self) -> dict[str, int]:
        """How many channels each tower takes, in the order of clips and embeddings."""
        return {name: getattr(self, name) for name in ("respiratory", "sleep_stages", "ekg")}


@dataclasses.dataclass(frozen=True)
class SupervisedEffNetConfig:
    """Sizes of one tower that learns sleep stages from labels; the defaults are published.

    Attributes:
        channels: of a clip.
        classes: stages.
        dropout: rate after residual bottlenecks and before the last linear layer.
    """

    channels: int = 5
    classes: int = 5
    dropout: float = 0.5


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
    """To six times the width, along the length feature by feature, and to the next width.

    Args:
        inputs: I, features that come in.
        outputs: O, features that go out.
        stride: 2 halves the length; at 1 what came in is added.
        dropout: rate of what is added to it.
        numerics: types and precision.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        dropout: float,
        numerics: Numerics,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        wide = EXPANSION * inputs
        self.up = dense(inputs, wide, ("embed", "mlp"), numerics, rngs)
        self.norm1 = BatchNorm(wide, numerics)
        self.along = DepthwiseConv(wide, stride, numerics, rngs=rngs)
        self.norm2 = BatchNorm(wide, numerics)
        self.down = dense(wide, outputs, ("mlp", "embed"), numerics, rngs)
        self.dropout = Dropout(dropout, rngs=rngs) if stride == 1 else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, L, I) to (B, L / stride, O)."""
        y = jax.nn.relu6(self.norm1(self.up(x)))  # (B, L, 6I)
        y = jax.nn.relu6(self.norm2(self.along(y)))  # (B, L / stride, 6I)
        y = self.down(y)
        return y if self.dropout is None else x + self.dropout(y)


class Stage(nnx.Module):
    """Residual bottlenecks, one that halves the length, batch norm."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        depth: int,
        dropout: float,
        numerics: Numerics,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.blocks = nnx.List(
            Bottleneck(inputs, inputs, 1, dropout, numerics, rngs=rngs) for _ in range(depth - 1)
        )
        self.blocks.append(Bottleneck(inputs, outputs, 2, dropout, numerics, rngs=rngs))
        self.norm = BatchNorm(outputs, numerics)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, L, I) to (B, L/2, O)."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Tower(nnx.Module):
    """One network over clips of one set of channels.

    Args:
        channels: C, of a clip.
        outputs: O, width of an embedding, or how many classes.
        dropout: rate after residual bottlenecks and before the last linear layer.
        numerics: types and precision; float32 at the highest precision if None.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        dropout: float,
        numerics: Numerics | None = None,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        numerics = numerics or Numerics()
        self.stem = dense((TAPS, channels), WIDTHS[0], (None, None, "embed"), numerics, rngs)
        self.norm = BatchNorm(WIDTHS[0], numerics)
        widths = zip(itertools.pairwise(WIDTHS), DEPTHS, strict=True)
        self.stages = nnx.List(
            Stage(inputs, outputs, depth, dropout, numerics, rngs=rngs)
            for (inputs, outputs), depth in widths
        )
        self.features = dense(WIDTHS[-1], FEATURES, ("embed", "mlp"), numerics, rngs)
        self.dropout = Dropout(dropout, rngs=rngs)
        self.out = dense(FEATURES, outputs, ("mlp", None), numerics, rngs)
        self.dtype = numerics.dtype

    def __call__(self, clips: jax.Array) -> jax.Array:
        """Clips to embeddings or logits.

        Args:
            clips: (B, C, T), 256 Hz; T = 7680 as published, or any other multiple of 256.

        Returns:
            (B, O).

        Raises:
            ValueError: another length.
        """
        if clips.shape[-1] % SHORTEST or not clips.shape[-1]:
            raise ValueError(f"{clips.shape[-1]} samples are not a multiple of {SHORTEST}")
        x = self.begin(clips)  # (B, T/2, 32)
        for number in range(len(DEPTHS)):
            x = self.stage(number, x)  # (B, L/2, W)
        return self.head(x)

    def begin(self, clips: jax.Array) -> jax.Array:
        """Stem and its norm, to length times features; (B, C, T) to (B, T/2, 32)."""
        x = clips.astype(self.dtype).swapaxes(1, 2)  # (B, T, C)
        return self.norm(self.stem(jnp.stack(neighbours(x, 2), axis=2)))

    def stage(self, number: int, x: jax.Array) -> jax.Array:
        """One stage with the max-pool that may follow it; (B, L, I) to (B, L/2, O)."""
        x = self.stages[number](x)
        return max_pool(x) if number in POOLED else x

    def head(self, x: jax.Array) -> jax.Array:
        """What follows the last stage; (B, L, 320) to (B, O)."""
        x = jax.nn.relu(self.features(x).mean(axis=1))  # (B, 1280)
        return self.out(self.dropout(x))


class EffNet(nnx.Module):
    """Three towers, one a modality.

    Args:
        config: sizes.
        numerics: types and precision; float32 at the highest precision if None.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self, config: EffNetConfig, numerics: Numerics | None = None, *, rngs: nnx.Rngs
    ) -> None:
        self.config = config
        for name, channels in config.channels.items():
            tower = Tower(channels, config.embed_dim, config.dropout, numerics, rngs=rngs)
            setattr(self, name, tower)

    def __call__(self, clips: jax.Array) -> jax.Array:
        """Clips to the embedding of each modality.

        Args:
            clips: (B, C, 7680), 256 Hz; the channels of each tower, one after the other.

        Returns:
            (B, 3, E), not normalised.

        Raises:
            ValueError: another number of channels than all towers take, or another length.
        """
        channels = self.config.channels
        if clips.shape[1] != sum(channels.values()):
            raise ValueError(f"{clips.shape[1]} channels, the towers take {channels}")
        ends = list(itertools.accumulate(channels.values()))
        parts = jnp.split(clips, ends[:-1], axis=1)  # 3 × (B, C, T)
        towers = [getattr(self, name) for name in channels]
        return jnp.stack([tower(x) for tower, x in zip(towers, parts, strict=True)], axis=1)


class SupervisedEffNet(Tower):
    """One tower from clips to logits of sleep stages.

    Args:
        config: sizes.
        numerics: types and precision; float32 at the highest precision if None.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self, config: SupervisedEffNetConfig, numerics: Numerics | None = None, *, rngs: nnx.Rngs
    ) -> None:
        super().__init__(config.channels, config.classes, config.dropout, numerics, rngs=rngs)
