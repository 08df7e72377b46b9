"""The base model between its two homes: a published checkpoint and a model folder."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flax import nnx

from conversion import checkpoints, config_json, table, weights
from conversion.checkpoints import Checkpoint
from conversion.reference import SetTransformer
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.weights import shapes
from sleepfm_jax.saved_model import SavedModel

TEMPERATURE = "temperature"


def import_files(checkpoint: str | Path, config: str | Path) -> SavedModel:
    """A published checkpoint and its `config.json` as a model, made sure to come back bit-equal.

    Raises:
        InputError: a file cannot be used, or the two do not fit each other.
    """
    size, settings = config_json.read(config)
    content = checkpoints.read(checkpoint)
    source = Path(checkpoint)
    provenance = {
        "checkpoint": source.name,
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "settings": settings,
    }
    try:
        model = import_checkpoint(content, size, provenance)
    except InputError as error:
        raise InputError(f"{checkpoint}: {error}") from error
    lost = _differing(content.state_dict, export_checkpoint(model).state_dict)
    if lost:
        raise InputError(
            f"{checkpoint}: {', '.join(lost)} cannot be kept bit for bit; give another checkpoint"
        )
    return model


def import_checkpoint(
    checkpoint: Checkpoint, config: FoundationConfig, provenance: dict[str, Any]
) -> SavedModel:
    """A published checkpoint as a model that can be saved and loaded here.

    Sizes that the published config.json does not tell, the length of the positional table and the
    width of the feed-forward, are read off the checkpoint.

    Args:
        checkpoint: what `checkpoints.read` returned.
        config: the sizes that `config_json.read` returned.
        provenance: where it comes from, kept with the model.

    Raises:
        InputError: entries unknown, missing or misshapen, all named.
    """
    config = _complete(config, checkpoint.state_dict)
    arrays = weights.to_flax(checkpoint.state_dict, table.foundation(config), _shapes(config))
    if checkpoint.temperature is not None:
        arrays[TEMPERATURE] = checkpoint.temperature
    kept = {"training": checkpoint.training, "prefix": checkpoint.prefix}
    return SavedModel(config, arrays, {**provenance, **kept})


def export_checkpoint(model: SavedModel) -> Checkpoint:
    """The inverse of `import_checkpoint`: every entry bit-equal, counters and table included."""
    assert isinstance(model.config, FoundationConfig)
    arrays = dict(model.weights)
    temperature = arrays.pop(TEMPERATURE, None)
    return Checkpoint(
        weights.to_torch(arrays, table.foundation(model.config)),
        temperature,
        model.provenance.get("training", {}),
        model.provenance.get("prefix", ""),
    )


def create_checkpoint(config: FoundationConfig, seed: int) -> Checkpoint:
    """An untrained model in the published layout, with PyTorch's initial values from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = reference_model(config)
    state_dict = {key: value.numpy() for key, value in network.state_dict().items()}
    return Checkpoint(state_dict, np.zeros((), np.float32), {"epoch": 0})


def reference_model(config: FoundationConfig) -> SetTransformer:
    """The reference module of a size."""
    return SetTransformer(
        embed_dim=config.embed_dim,
        num_heads=config.num_heads,
        num_layers=config.num_layers,
        pooling_head=config.pooling_heads,
        feed_forward=config.feed_forward,
        dropout=config.dropout,
        max_seq_length=config.max_patches,
    )


def load_reference(model: SavedModel) -> SetTransformer:
    """The reference module with a model's weights in their own type, in evaluation mode."""
    assert isinstance(model.config, FoundationConfig)
    arrays = export_checkpoint(model).state_dict
    state_dict = {key: torch.from_numpy(value) for key, value in arrays.items()}
    network = reference_model(model.config)
    network.to(state_dict["layer_norm.weight"].dtype).load_state_dict(state_dict)
    return network.eval()


def _differing(some: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> list[str]:
    return [
        key
        for key, array in some.items()
        if array.dtype != others[key].dtype or array.tobytes() != others[key].tobytes()
    ]


def _complete(config: FoundationConfig, state_dict: dict[str, np.ndarray]) -> FoundationConfig:
    found = {}
    positions = state_dict.get("positional_encoding.pe")
    if positions is not None and positions.ndim == 3:
        found["max_patches"] = positions.shape[1]
    hidden = state_dict.get("temporal_pooling.transformer_layer.linear1.bias")
    if hidden is not None and hidden.ndim == 1:
        found["feed_forward"] = hidden.shape[0]
    return dataclasses.replace(config, **found)


def _shapes(config: FoundationConfig) -> dict[str, tuple[int, ...]]:
    return shapes(lambda: SleepFM(config, rngs=nnx.Rngs(0)))
