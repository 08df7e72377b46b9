"""What both networks are given to compare them: noise, or windows of a recording."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from sleepfm_jax.input_pipeline import nights
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.effnet import CLIP, EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.kinds import Config
from sleepfm_jax.models.tokenizer import PATCH

WINDOW = 60  # patches: 5 minutes
STEPS = 2 * WINDOW  # of a night of noise for the heads
CHANNELS = (4, 3, 1, 2)  # of noise; the single one takes the pooling's short cut (spec §1.2)


@dataclasses.dataclass(frozen=True)
class Sample:
    """Windows of one montage.

    Attributes:
        name: where they come from, in words.
        signals: (B, C, S·640) float32, z-scored, 128 Hz.
        modality: (C,) of each channel.
    """

    name: str
    signals: np.ndarray
    modality: np.ndarray

    @property
    def description(self) -> str:
        """Source, windows and channels in words."""
        B, _, T = self.signals.shape
        counts = Counter(self.modality.tolist())
        channels = ", ".join(f"{m.name} {counts[m]}" for m in Modality if m in counts)
        plural = "" if B == 1 else "s"
        return f"{self.name}: {B} window{plural} of {T / 128:g} s, channels {channels}"


def noise(windows: int, seed: int) -> Sample:
    """White noise on ten channels of all four modalities."""
    modality = np.repeat(list(Modality), CHANNELS)  # (C,)
    shape = (windows, len(modality), WINDOW * PATCH)
    signals = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return Sample(f"noise (seed {seed})", signals, modality)


def of_night(path: str | Path, windows: int) -> Sample:
    """Windows spread evenly over a recording; a short one is taken as one partial window.

    Raises:
        InputError: the recording cannot be used.
    """
    night = nights.load(path)
    C, samples = night.signals.shape
    length = min(WINDOW, samples // PATCH) * PATCH
    there = samples // length
    chosen = np.linspace(0, there - 1, min(windows, there)).round().astype(int)  # (B,)
    cut = night.signals[:, : there * length].reshape(C, there, length)
    signals = cut[:, chosen].swapaxes(0, 1).astype(np.float32)  # (B, C, T)
    return Sample(Path(path).name, signals, night.modality)


@dataclasses.dataclass(frozen=True)
class HeadSample:
    """Nights for a head, each by itself.

    Attributes:
        name: where they come from, in words.
        description: the same with sizes.
        calls: of each night what PyTorch's module and what the network here is called with; absent
            modalities are left out there and masked here.
    """

    name: str
    description: str
    calls: tuple[tuple[tuple[np.ndarray | None, ...], tuple[np.ndarray, ...]], ...]


def noise_for_head(config: Config, seed: int) -> HeadSample:
    """White noise: nights of all modalities and of one, or signals, or people, or clips."""
    draw = np.random.default_rng(seed)
    D = getattr(config, "demographics", 0)
    people = (draw.random((1, D)),) if D else ()
    name = f"noise (seed {seed})"
    if isinstance(config, DemographicRiskConfig):
        calls = tuple((person, person) for person in ((row,) for row in draw.random((8, 1, D))))
        return HeadSample(name, f"{name}: 8 people", calls)
    if isinstance(config, SupervisedRiskConfig):
        C, S = sum(CHANNELS), 12
        signals = draw.standard_normal((1, C, S * PATCH))
        tags = np.repeat(np.arange(len(CHANNELS)), CHANNELS)[None]
        call = ((signals, *people), (signals, tags, np.array([S]), *people))
        return HeadSample(name, f"{name}: {S * 5} s of {C} channels", (call,))
    if isinstance(config, EffNetConfig | SupervisedEffNetConfig):
        taken = config.channels
        C = taken if isinstance(taken, int) else sum(taken.values())
        clips = draw.standard_normal((2, C, CLIP))
        return HeadSample(name, f"{name}: 2 clips of {C} channels", (((clips,), (clips,)),))
    nights = []
    for there in (np.ones(len(Modality), bool), np.arange(len(Modality)) == Modality.RESP):
        x = draw.standard_normal((1, len(Modality), STEPS, config.embed_dim))
        rest = (None, None, *people) if people else ()
        nights.append(((x[:, there], *rest), (x, there[None], np.array([STEPS]), *people)))
    return HeadSample(name, f"{name}: nights of 4 and of 1 modality, {STEPS} steps", tuple(nights))
