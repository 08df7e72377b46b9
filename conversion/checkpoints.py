"""Published checkpoint files and their `config.json`: read without running them, and written.

A checkpoint is a pickle; only tensors and plain containers are let in (`weights_only`), so a
hostile file is refused instead of executed (spec §4, §6).
"""

import dataclasses
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.foundation import FoundationConfig

MODEL_CLASS = "SetTransformer"
PREFIX = "module."  # what DataParallel puts before every key

# {config.json key: FoundationConfig field}
SIZES = {
    "embed_dim": "embed_dim",
    "num_heads": "num_heads",
    "num_layers": "num_layers",
    "pooling_head": "pooling_heads",
    "dropout": "dropout",
}
# Facts of the architecture that a config.json repeats: another value would be another model.
FIXED = {"in_channels": 1, "patch_size": 640, "sampling_freq": 128}


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint in memory.

    Attributes:
        state_dict: arrays by key, without the `module.` prefix.
        temperature: of the contrastive loss, float32 scalar; None in a bare state dict.
        training: epoch, losses and what else is a plain number, for provenance.
    """

    state_dict: dict[str, np.ndarray]
    temperature: np.ndarray | None
    training: dict[str, Any]


def read(path: str | Path) -> Checkpoint:
    """Reads a base checkpoint or a bare state dict, with or without the DataParallel prefix.

    Raises:
        InputError: the file is missing, damaged, or holds anything but tensors and plain values.
    """
    content = _load(Path(path))
    entries = content.get("state_dict", content)
    foreign = [key for key, value in entries.items() if not isinstance(value, torch.Tensor)]
    if foreign or not entries:
        named = ", ".join(map(str, foreign[:5])) or "nothing at all"
        raise InputError(
            f"{path}: holds {named} where tensors of a state dict should be; give a checkpoint of "
            "the published layout"
        )
    temperature = content.get("temperature")
    return Checkpoint(
        state_dict={key.removeprefix(PREFIX): value.numpy() for key, value in entries.items()},
        temperature=None if temperature is None else _scalar(path, temperature),
        training={
            key: value for key, value in content.items() if isinstance(value, int | float | str)
        },
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; give the path of a checkpoint") from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: is refused because it holds more than tensors, and unpickling it could run "
            "code; save it again with its state dict alone"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: cannot be read as a PyTorch checkpoint ({_first_line(error)}); it is "
            "truncated or something else, download it again"
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: holds a {type(content).__name__}, not a checkpoint; give the file with the "
            "state dict"
        )
    return content


def _scalar(path: str | Path, value: Any) -> np.ndarray:
    array = np.asarray(value.detach().numpy() if isinstance(value, torch.Tensor) else value)
    if array.size != 1:
        raise InputError(f"{path}: its temperature is no single number; give another checkpoint")
    return array.reshape(()).astype(np.float32)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def write(path: str | Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint in the published layout; a temperature makes it a base checkpoint.

    Raises:
        InputError: the file cannot be written.
    """
    content: dict[str, Any] = {
        key: torch.from_numpy(np.array(value)) for key, value in checkpoint.state_dict.items()
    }
    if checkpoint.temperature is not None:
        temperature = torch.from_numpy(np.array(checkpoint.temperature))
        content = {"state_dict": content, "temperature": temperature, **checkpoint.training}
    try:
        with replacing(path) as temporary:
            torch.save(content, temporary)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{path}: cannot be written ({_first_line(error)}); free some space or choose another "
            "place"
        ) from error


def read_config(path: str | Path) -> tuple[FoundationConfig, dict[str, Any]]:
    """Reads a published base `config.json`.

    Returns:
        the model's size, and every other setting for provenance.

    Raises:
        InputError: not JSON, another model class, a missing or impossible size.
    """
    try:
        settings = json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file; give the config.json that came with the checkpoint"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as JSON ({_first_line(error)}); download it again"
        ) from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: is not a JSON object; give the checkpoint's config.json")
    _check_settings(path, settings)
    sizes = {field: settings[key] for key, field in SIZES.items()}
    rest = {key: value for key, value in settings.items() if key not in SIZES}
    return FoundationConfig(**sizes), rest


def _check_settings(path: str | Path, settings: dict[str, Any]) -> None:
    faults = [f"{key} is missing" for key in SIZES if key not in settings]
    faults += [
        f"{key} is {settings[key]!r}, not a number"
        for key in SIZES
        if key in settings and type(settings[key]) not in (int, float)
    ]
    faults += [
        f"{key} is {settings[key]!r}, only {value} is this model"
        for key, value in FIXED.items()
        if settings.get(key, value) != value
    ]
    if settings.get("model", MODEL_CLASS) != MODEL_CLASS:
        faults.append(f"model is {settings['model']!r}, not {MODEL_CLASS}")
    if faults:
        raise InputError(f"{path}: {'; '.join(faults)}; give the config.json of a base checkpoint")


def write_config(
    path: str | Path, config: FoundationConfig, provenance: dict[str, Any] | None = None
) -> None:
    """Writes a `config.json` in the published layout, with the settings that were kept."""
    settings = {"model": MODEL_CLASS, **FIXED, **(provenance or {})}
    settings |= {key: getattr(config, field) for key, field in SIZES.items()}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(settings, indent=2) + "\n")
