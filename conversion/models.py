"""A model between its two homes: a published checkpoint and a model folder."""

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flax import nnx
from torch import nn

from conversion import checkpoints, config_json, effnet, published, weights
from conversion.checkpoints import COUNTER, Checkpoint
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.effnet import EffNetConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.kinds import Config, network_of
from sleepfm_jax.models.weights import shapes
from sleepfm_jax.saved_model import SavedModel

TEMPERATURE = "temperature"
# Arrays that training leaves beside a network; of these PyTorch's format knows the temperature.
BESIDE = (TEMPERATURE, "baseline.times", "baseline.cumulative")
TABLE = "positional_encoding.pe"


def import_files(checkpoint: str | Path, config: str | Path | None = None) -> SavedModel:
    """A published checkpoint and its `config.json` as a model, made sure to come back bit-equal.

    Args:
        checkpoint: the file.
        config: None for the networks of the ICML 2024 system, which have none.

    Raises:
        InputError: a file cannot be used, or the two do not fit each other.
    """
    size, settings = (None, {}) if config is None else config_json.read(config)
    content = checkpoints.read(checkpoint)
    source = Path(checkpoint)
    provenance = {
        "checkpoint": source.name,
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "settings": settings,
    }
    try:
        model = import_checkpoint(content, size or _told(content), provenance)
    except InputError as error:
        raise InputError(f"{checkpoint}: {error}") from error
    lost = _differing(content.state_dict, export_checkpoint(model).state_dict)
    if lost:
        raise InputError(
            f"{checkpoint}: {', '.join(lost)} cannot be kept bit for bit; give another checkpoint"
        )
    return model


def import_checkpoint(
    checkpoint: Checkpoint, config: Config, provenance: dict[str, Any]
) -> SavedModel:
    """A published checkpoint as a model that can be saved and loaded here.

    Sizes that the published config.json does not tell (the length of the base model's positional
    table, the width of the feed-forward, how many demographics) are read off the checkpoint.

    Args:
        checkpoint: what `checkpoints.read` returned.
        config: the sizes that `config_json.read` returned.
        provenance: where it comes from, kept with the model.

    Raises:
        InputError: entries unknown, missing or misshapen, all named.
    """
    config = _complete(config, checkpoint.state_dict)
    table = published.of(config).table(config)
    arrays = weights.to_flax(checkpoint.state_dict, table, _shapes(config))
    if checkpoint.temperature is not None:
        arrays[TEMPERATURE] = checkpoint.temperature
    kept = {"training": checkpoint.training, "prefix": checkpoint.prefix}
    return SavedModel(config, arrays, {**provenance, **kept})


def export_checkpoint(model: SavedModel) -> Checkpoint:
    """The inverse of `import_checkpoint`: every entry bit-equal, counters and table included.

    A baseline hazard has no place in PyTorch's format and is left out.

    Raises:
        InputError: no published class is like the model, or an array is missing or unknown.
    """
    arrays = dict(model.weights)
    beside = {name: arrays.pop(name, None) for name in BESIDE}
    return Checkpoint(
        weights.to_torch(arrays, published.of(model.config).table(model.config)),
        beside[TEMPERATURE],
        model.provenance.get("training", {}),
        model.provenance.get("prefix", ""),
        checkpoints.TOWERS if isinstance(model.config, EffNetConfig) else (),
    )


def create_checkpoint(config: Config, seed: int) -> Checkpoint:
    """An untrained model in the published layout, with PyTorch's initial values from a seed.

    Of the base model and the three towers a checkpoint with temperature, of others a bare state
    dict.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = reference_model(config)
    state_dict = {key: value.numpy() for key, value in network.state_dict().items()}
    if isinstance(config, FoundationConfig):
        return Checkpoint(state_dict, np.zeros((), np.float32), {"epoch": 0})
    if isinstance(config, EffNetConfig):
        temperature = np.zeros((), np.float32)
        return Checkpoint(state_dict, temperature, {"epoch": 0}, towers=checkpoints.TOWERS)
    return Checkpoint(state_dict, None, {})


def reference_model(config: Config) -> nn.Module:
    """The reference module of a size."""
    return published.of(config).reference(config)


def load_reference(model: SavedModel) -> Any:
    """The reference module with a model's weights in their own type, in evaluation mode."""
    arrays = export_checkpoint(model).state_dict
    state_dict = {key: torch.from_numpy(value) for key, value in arrays.items()}
    trained = next(key for key in state_dict if key != TABLE and not key.endswith(COUNTER))
    network = reference_model(model.config)
    network.to(state_dict[trained].dtype).load_state_dict(state_dict)
    return network.eval()


def _told(checkpoint: Checkpoint) -> Config:
    """The size that a checkpoint tells by itself."""
    size = effnet.size(checkpoint.state_dict)
    if size is None:
        raise InputError(
            "does not tell the model's size by itself; add --config with the config.json that came "
            "with it"
        )
    return size


def _differing(some: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> list[str]:
    return [
        key
        for key, array in some.items()
        if array.dtype != others[key].dtype or array.tobytes() != others[key].tobytes()
    ]


def _complete(config: Config, state_dict: dict[str, np.ndarray]) -> Config:
    """With the sizes that the entries alone tell; {field: (entry, axes, axis)}."""
    places = {
        "max_patches": (TABLE, 3, 1),
        "feed_forward": ("spatial_pooling.transformer_layer.linear1.bias", 1, 0),
    }
    if getattr(config, "demographics", 0):
        places["demographics"] = ("demo_embedding.0.weight", 2, 1)
    found = {
        field: state_dict[entry].shape[axis]
        for field, (entry, axes, axis) in places.items()
        if hasattr(config, field) and entry in state_dict and state_dict[entry].ndim == axes
    }
    return dataclasses.replace(config, **found)


@functools.cache
def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    return shapes(lambda: network_of(config, rngs=nnx.Rngs(0)))
