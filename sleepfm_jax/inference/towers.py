"""The towers of the ICML 2024 system: embeddings of 30-second clips, in batches of one size."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.inference.foundation import numerics_of, provenance_of
from sleepfm_jax.input_pipeline.clips import CHANNELS, COUNTS, SAMPLES, modalities_present
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import SavedModel


def load_towers(
    path: str | os.PathLike[str], dtype: str = "float32", precision: str = "highest"
) -> "Towers":
    """Loads the towers of a model folder.

    >>> from sleepfm_jax import inference
    >>> towers = inference.load_towers("MODEL")  # doctest: +SKIP
    >>> towers.embed(night.signals, night.present).shape  # doctest: +SKIP
    (960, 3, 512)

    Args:
        path: a model folder, a folder of models, or the work directory of a run.
        dtype: in which the network computes, as in `load`.
        precision: of matrix products, as in `load`.

    Raises:
        InputError: the folder is no model, or of another kind, or damaged; or the towers take
            other channels than clips have.
        ValueError: `dtype` or `precision` is none of these.
    """
    numerics = numerics_of(dtype, precision)
    saved = saved_model.load(path, "towers")
    config: Any = saved.config
    if config.channels != COUNTS:
        raise InputError(
            f"{path}: its towers take {config.channels} channels, clips have {dict(COUNTS)}: "
            "give another model"
        )
    return Towers(saved, numerics, Path(path).resolve().name)


class Towers:
    """Three towers with their weights, compiled once.

    Args:
        saved: configuration and weights.
        numerics: types and precision; float32 if None.
        name: kept with what the towers make.
        batch: clips a call; None: what suits the device.
    """

    def __init__(
        self,
        saved: SavedModel,
        numerics: Numerics | None = None,
        name: str = "model",
        batch: int | None = None,
    ) -> None:
        numerics = numerics or Numerics()
        graph, state = nnx.split(saved_model.build(saved, numerics))
        # Plain arrays: taking a state's variables apart at each call would cost a millisecond.
        self._weights, structure = jax.tree.flatten(state)
        self.config: Any = saved.config
        self.provenance = provenance_of(saved, numerics, name)
        self._batch = batch or (16 if jax.default_backend() == "cpu" else 128)

        @jax.jit
        def embed_clips(
            weights: list[jax.Array], signals: jax.Array, present: jax.Array
        ) -> jax.Array:
            network = nnx.merge(graph, jax.tree.unflatten(structure, weights))
            return network(signals.astype(jnp.float32), present).astype(jnp.float32)

        self._embed_clips = embed_clips

    def embed(self, signals: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Embeds clips; what a clip becomes does not depend on the others.

        Args:
            signals: (K, 9, 7680) float16, 256 Hz, in the places of `clips.CHANNELS`.
            present: (K, 9) bool, which places hold a channel.

        Returns:
            (K, 3, E) float32, not normalised; zeros where a clip has no channel of a modality.

        Raises:
            ValueError: other shapes.
        """
        K = len(signals)
        if signals.shape[1:] != (len(CHANNELS), SAMPLES) or present.shape != (K, len(CHANNELS)):
            raise ValueError(f"clips {signals.shape} with present {present.shape}")
        modalities = modalities_present(np.asarray(present, bool))  # (K, 3)
        parts = [
            self._embed_clips(
                self._weights,
                _filled(signals[first : first + self._batch], self._batch),
                _filled(modalities[first : first + self._batch], self._batch),
            )
            for first in range(0, K, self._batch)
        ]  # (B, 3, E) each; calls return before they are computed
        if not parts:
            return np.zeros((0, len(COUNTS), self.config.embed_dim), np.float32)
        return np.concatenate([np.asarray(part) for part in parts])[:K]


def _filled(rows: np.ndarray, size: int) -> np.ndarray:
    """(size, …) rows with empty ones after them."""
    if len(rows) == size:
        return rows
    filled = np.zeros((size, *rows.shape[1:]), rows.dtype)
    filled[: len(rows)] = rows
    return filled
