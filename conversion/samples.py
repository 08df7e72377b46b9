"""What both networks are given to compare them: noise, or windows of a recording."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from sleepfm_jax.input_pipeline import nights
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.models.tokenizer import PATCH

WINDOW = 60  # patches: 5 minutes
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
