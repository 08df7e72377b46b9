"""The networks of the ICML 2024 system: EfficientNet-style 1-D towers over clips (spec §5)."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.batch_norm import BatchNorm
from sleepfm_jax.models.bottleneck import TAPS, Bottleneck, max_pool, neighbours
from sleepfm_jax.models.dropout import Dropout
from sleepfm_jax.models.layers import Numerics, dense

CLIP = 7680  # samples: 30 s at 256 Hz
POOLED = (1, 4)  # stages that a max-pool follows
MOST_STAGES = 7  # that the published names of the layers have room for


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerSizes:
    """Sizes of a tower; the defaults are published.

    Attributes:
        widths: features that come out of the stem, then of each stage.
        depths: bottlenecks of each stage, one to seven stages.
        expansion: how many times wider a bottleneck is inside.
        features: width before the last linear layer.
        dropout: rate after residual bottlenecks and before the last linear layer.

    Raises:
        ValueError: sizes that no tower has.
    """

    widths: tuple[int, ...] = (32, 16, 24, 40, 80, 112, 192, 320)
    depths: tuple[int, ...] = (1, 2, 2, 3, 3, 3, 3)
    expansion: int = 6
    features: int = 1280
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for name in ("widths", "depths"):  # JSON has lists alone
            object.__setattr__(self, name, tuple(getattr(self, name)))
        stages = len(self.depths)
        if not 1 <= stages <= MOST_STAGES or len(self.widths) != stages + 1:
            raise ValueError(
                f"depths {self.depths} and widths {self.widths} must be of one to {MOST_STAGES} "
                "stages, with one more width for the stem"
            )
        for name, size in dataclasses.asdict(self).items():
            every = size if isinstance(size, tuple) else (size,)
            if name != "dropout" and any(type(each) is not int or each < 1 for each in every):
                raise ValueError(f"{name} is {size!r} but must be whole numbers from 1 up")

    @property
    def shortest(self) -> int:
        """Samples whose multiples a clip can be: stem and stages each halve the length."""
        return 2 ** len(self.widths)


@dataclasses.dataclass(frozen=True)
class EffNetConfig(TowerSizes):
    """Sizes of the three towers that are trained against each other; the defaults are published.

    Attributes:
        respiratory: channels (CHEST, SaO2, ABD).
        sleep_stages: channels (C3-M2, C4-M1, O1-M2, O2-M1, E1-M2).
        ekg: channels.
        embed_dim: E, of an embedding.
    """

    respiratory: int = 3
    sleep_stages: int = 5
    ekg: int = 1
    embed_dim: int = 512

    @property
    def channels(self) -> dict[str, int]:
        """How many channels each tower takes, in the order of clips and embeddings."""
        return {name: getattr(self, name) for name in ("respiratory", "sleep_stages", "ekg")}


@dataclasses.dataclass(frozen=True)
class SupervisedEffNetConfig(TowerSizes):
    """Sizes of one tower that learns sleep stages from labels; the defaults are published.

    Attributes:
        channels: of a clip.
        classes: stages.
    """

    channels: int = 5
    classes: int = 5


class Stage(nnx.Module):
    """Residual bottlenecks, one that halves the length, batch norm."""

    def __init__(
        self, number: int, sizes: TowerSizes, numerics: Numerics, remat: bool, *, rngs: nnx.Rngs
    ) -> None:
        inputs, outputs = sizes.widths[number : number + 2]

        def block(outputs: int, stride: int) -> Bottleneck:
            rest = (sizes.expansion, stride, sizes.dropout, numerics, remat)
            return Bottleneck(inputs, outputs, *rest, rngs=rngs)

        self.blocks = nnx.List(block(inputs, 1) for _ in range(sizes.depths[number] - 1))
        self.blocks.append(block(outputs, 2))
        self.norm = BatchNorm(outputs, numerics)

    def __call__(self, x: jax.Array, rows: jax.Array | None = None) -> jax.Array:
        """(B, L, I) to (B, L/2, O); `rows` (B,) as in `BatchNorm`."""
        for block in self.blocks:
            x = block(x, rows)
        return self.norm(x, rows)


class Tower(nnx.Module):
    """One network over clips of one set of channels.

    Args:
        channels: C, of a clip.
        outputs: O, width of an embedding, or how many classes.
        sizes: of all between.
        numerics: types and precision; float32 at the highest precision if None.
        remat: whether the backward pass computes the inside of each bottleneck again.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        sizes: TowerSizes,
        numerics: Numerics | None = None,
        remat: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        numerics = numerics or Numerics()
        self.shortest = sizes.shortest
        self.stem = dense((TAPS, channels), sizes.widths[0], (None, None, "embed"), numerics, rngs)
        self.norm = BatchNorm(sizes.widths[0], numerics)
        self.stages = nnx.List(
            Stage(number, sizes, numerics, remat, rngs=rngs) for number in range(len(sizes.depths))
        )
        self.features = dense(sizes.widths[-1], sizes.features, ("embed", "mlp"), numerics, rngs)
        self.dropout = Dropout(sizes.dropout, rngs=rngs)
        self.out = dense(sizes.features, outputs, ("mlp", None), numerics, rngs)
        self.dtype = numerics.dtype

    def __call__(self, clips: jax.Array, rows: jax.Array | None = None) -> jax.Array:
        """Clips to embeddings or logits.

        Args:
            clips: (B, C, T), 256 Hz; T = 7680 as published, or another multiple of `shortest`.
            rows: (B,) bool, which clips are there; None: all. Another one enters no statistics,
                whatever it holds, and gets no gradient.

        Returns:
            (B, O); zeros for a clip that is not there.

        Raises:
            ValueError: another length.
        """
        samples = clips.shape[-1]
        if samples % self.shortest or not samples:
            raise ValueError(f"{samples} samples are not a multiple of {self.shortest}")
        if rows is not None:
            clips = jnp.where(rows[:, None, None], clips, 0)
        x = self.begin(clips, rows)  # (B, T/2, W)
        for number in range(len(self.stages)):
            x = self.stage(number, x, rows)  # (B, L/2, W)
        out = self.head(x)
        return out if rows is None else jnp.where(rows[:, None], out, 0)

    def begin(self, clips: jax.Array, rows: jax.Array | None = None) -> jax.Array:
        """Stem and its norm, to length times features; (B, C, T) to (B, T/2, W)."""
        x = clips.astype(self.dtype).swapaxes(1, 2)  # (B, T, C)
        return self.norm(self.stem(jnp.stack(neighbours(x, 2), axis=2)), rows)

    def stage(self, number: int, x: jax.Array, rows: jax.Array | None = None) -> jax.Array:
        """One stage with the max-pool that may follow it; (B, L, I) to (B, L/2, O)."""
        x = self.stages[number](x, rows)
        return max_pool(x) if number in POOLED else x

    def head(self, x: jax.Array) -> jax.Array:
        """What follows the last stage; (B, L, W) to (B, O)."""
        x = jax.nn.relu(self.features(x).mean(axis=1))  # (B, features)
        return self.out(self.dropout(x))


class EffNet(nnx.Module):
    """Three towers, one a modality.

    Args:
        config: sizes.
        numerics: types and precision; float32 at the highest precision if None.
        remat: whether the backward pass computes the inside of each bottleneck again.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        config: EffNetConfig,
        numerics: Numerics | None = None,
        remat: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.config = config
        for name, channels in config.channels.items():
            tower = Tower(channels, config.embed_dim, config, numerics, remat, rngs=rngs)
            setattr(self, name, tower)

    def __call__(self, clips: jax.Array, present: jax.Array | None = None) -> jax.Array:
        """Clips to the embedding of each modality.

        Args:
            clips: (B, C, 7680), 256 Hz; the channels of each tower, one after the other.
            present: (B, 3) bool, which modalities a clip has; None: all. Another one enters no
                statistics, whatever its channels hold, and gets no gradient.

        Returns:
            (B, 3, E), not normalised; zeros for a modality that is not there.

        Raises:
            ValueError: another number of channels than all towers take, or another length.
        """
        channels = self.config.channels
        if clips.shape[1] != sum(channels.values()):
            raise ValueError(f"{clips.shape[1]} channels, the towers take {channels}")
        ends = list(itertools.accumulate(channels.values()))
        parts = jnp.split(clips, ends[:-1], axis=1)  # 3 × (B, C, T)
        embeddings = [
            getattr(self, name)(part, None if present is None else present[:, m])
            for m, (name, part) in enumerate(zip(channels, parts, strict=True))
        ]
        return jnp.stack(embeddings, axis=1)


class SupervisedEffNet(Tower):
    """One tower from clips to logits of sleep stages.

    Args:
        config: sizes.
        numerics: types and precision; float32 at the highest precision if None.
        remat: whether the backward pass computes the inside of each bottleneck again.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        config: SupervisedEffNetConfig,
        numerics: Numerics | None = None,
        remat: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(config.channels, config.classes, config, numerics, remat, rngs=rngs)
