"""A night's signals through the foundation model, window by window, to what the heads take."""

import jax
import jax.numpy as jnp

from sleepfm_jax.models.foundation import SleepFM
from sleepfm_jax.models.tokenizer import PATCH

WINDOW = 60  # patches: 5 minutes, what the foundation model was trained on


def embed_nights(
    backbone: SleepFM, signals: jax.Array, modality: jax.Array, patches: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Embeddings of runs of windows.

    Args:
        backbone: the foundation model.
        signals: (B, C, W·60·640), z-scored, 128 Hz.
        modality: (B, C) int, −1 an empty slot.
        patches: (B,) int, how many patches of each run are real.

    Returns:
        embeddings (B, M, W·60, E) and present (B, M).

    Raises:
        ValueError: the signals are not a whole number of windows.
    """
    B, C, samples = signals.shape
    W = samples // (WINDOW * PATCH)
    if samples % (WINDOW * PATCH) or not W:
        raise ValueError(f"{samples} samples are not a whole number of 5-minute windows")
    windows = signals.reshape(B, C, W, -1).swapaxes(1, 2).reshape(B * W, C, -1)
    real = jnp.clip(patches[:, None] - jnp.arange(W) * WINDOW, 0, WINDOW)  # (B, W)
    found = backbone(windows, jnp.repeat(modality, W, axis=0), real.reshape(-1))
    M, E = found.sequence.shape[1], found.sequence.shape[3]
    sequence = found.sequence.reshape(B, W, M, WINDOW, E).swapaxes(1, 2)  # (B, M, W, 60, E)
    return sequence.reshape(B, M, W * WINDOW, E), found.present.reshape(B, W, M)[:, 0]
