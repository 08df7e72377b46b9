"""Tiny towers with random weights, and clips for them."""

import functools
from pathlib import Path

import numpy as np
from flax import nnx

from sleepfm_jax import saved_model
from sleepfm_jax.inference import Towers
from sleepfm_jax.input_pipeline.clips import CHANNELS, SAMPLES
from sleepfm_jax.models.effnet import EffNetConfig
from sleepfm_jax.models.kinds import network_of
from sleepfm_jax.saved_model import SavedModel
from tests.models.small_network import random_arrays

CONFIG = EffNetConfig(widths=(4, 6), depths=(2,), expansion=2, features=8, embed_dim=6)


@functools.cache
def saved(seed: int = 0) -> SavedModel:
    """Untrained towers, all their arrays drawn from the seed."""
    arrays = random_arrays(lambda: network_of(CONFIG, rngs=nnx.Rngs(0)), seed)
    return SavedModel(CONFIG, arrays)


@functools.cache
def towers(seed: int = 0) -> Towers:
    """Loaded and compiled once."""
    return Towers(saved(seed), name="small", batch=4)


def save(folder: Path, seed: int = 0) -> Path:
    """A model folder."""
    saved_model.save(folder, saved(seed))
    return folder


def noise(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Signals (K, 9, 7680) and present (K, 9); every third lacks the ECG, every fourth most."""
    draw = np.random.default_rng(seed)
    present = np.ones((count, len(CHANNELS)), bool)
    present[::3, 8] = False
    present[::4, 2:] = False
    signals = draw.standard_normal((count, len(CHANNELS), SAMPLES)).astype(np.float16)
    return np.where(present[..., None], signals, np.float16(0)), present
