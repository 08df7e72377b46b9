"""The golden numbers' inputs and weights, rebuilt from names (tests/data/recipe.py, seed 7)."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from conversion import models
from conversion.checkpoints import Checkpoint
from sleepfm_jax.models.foundation import Embeddings, FoundationConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import SavedModel, build
from tests.data import recipe

DATA = Path(__file__).parent / "data"
SEED = 7
CONFIG = FoundationConfig()
PYTORCH_ERROR = json.loads((DATA / "meta.json").read_text())["float32_error_of_pytorch"]


def is_norm(key: str) -> bool:
    """Whether an entry belongs to a batch or layer norm."""
    numbered = re.fullmatch(r"patch_embedding\.tokenizer\.(\d+)\.(weight|bias)", key)
    return "norm" in key or (numbered is not None and int(numbered[1]) % 4 in (1, 3))


@functools.cache
def state_dict(name: str = "SetTransformer") -> dict[str, np.ndarray]:
    """The float64 state dict of a published class, positional table in float32."""
    shapes = json.loads((DATA / "state_dict_keys.json").read_text())[name]
    table = np.load(DATA / "positional.npz")["pe"]
    return {
        key: table[None, : shape[1]]
        if key == "positional_encoding.pe"
        else recipe.weight(SEED, key, tuple(shape), is_norm(key))
        for key, shape in shapes.items()
    }


def saved_model(dtype: str = "float32", **training: float) -> SavedModel:
    """The base model with the golden weights."""
    cast = {
        key: value.astype(dtype) if value.dtype == np.float64 else value
        for key, value in state_dict().items()
    }
    checkpoint = Checkpoint(cast, np.float32(0.25).reshape(()), training)
    return models.import_checkpoint(checkpoint, CONFIG, {})


@functools.cache
def network(dtype: str = "float32") -> Callable[..., Embeddings]:
    """The jitted base model with the golden weights: (signals, modality, patches) → embeddings.

    In float64 call it inside `jax.enable_x64(True)`.
    """
    with jax.enable_x64(dtype == "float64"):
        graph, weights = nnx.split(build(saved_model(dtype), Numerics(dtype, dtype)))
        run = jax.jit(lambda w, *inputs: nnx.merge(graph, w)(*inputs))

        def call(
            signals: np.ndarray, modality: np.ndarray, patches: np.ndarray | None = None
        ) -> Embeddings:
            if patches is None:
                patches = np.full(len(signals), signals.shape[-1] // 640)
            out = run(weights, signals.astype(dtype), modality, patches)
            return Embeddings(*map(np.asarray, out))

        return call


def signal(name: str, *shape: int) -> np.ndarray:
    """A golden input, float64, zero mean and unit variance."""
    return recipe.signal(SEED, name, shape)


def error(ours: np.ndarray, golden: np.ndarray) -> float:
    """The largest difference over the largest golden value."""
    assert ours.shape == golden.shape
    return float(np.abs(np.asarray(ours, np.float64) - golden).max() / np.abs(golden).max())
