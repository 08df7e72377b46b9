"""Checkpoints as others publish them, of any size, with values that the golden recipe draws."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conversion import config_json
from conversion.checkpoints import TOWERS as NAMES
from conversion.models import reference_model
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, RiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.sleep_stager import StagingConfig
from tests import golden
from tests.data import recipe

SMALL = FoundationConfig(
    embed_dim=16, num_heads=4, num_layers=2, pooling_heads=2, feed_forward=24, max_patches=70
)


def state_dict(config: Any = SMALL) -> dict[str, torch.Tensor]:
    """Every entry different from every other, counters at 100, the table as PyTorch has it."""
    entries = reference_model(config).state_dict()
    return {
        key: value if key == "positional_encoding.pe" else _drawn(key, value)
        for key, value in entries.items()
    }


def _drawn(key: str, like: torch.Tensor) -> torch.Tensor:
    drawn = recipe.weight(golden.SEED, key, tuple(like.shape), golden.is_norm(key))
    return torch.from_numpy(np.asarray(drawn)).to(like.dtype)


def base_checkpoint(config: FoundationConfig = SMALL, prefix: str = "") -> dict[str, Any]:
    """What the published training saves, optimiser and all."""
    weights = {prefix + key: value for key, value in state_dict(config).items()}
    momentum = {0: {"momentum_buffer": torch.ones(3)}}
    return {
        "state_dict": weights,
        "temperature": torch.nn.Parameter(torch.tensor(0.6180339)),
        "optim_dict": {"state": momentum, "param_groups": [{"lr": 0.001, "params": [0]}]},
        "scheduler_dict": {"step_size": 2, "gamma": 0.1, "_last_lr": [0.001]},
        "epoch": 17,
        "best_loss": 1.5,
        "loss": np.float64(1.25),
    }


SETTINGS = {
    "model": "SetTransformer",
    "save_path": "some/folder",
    "lr": 0.001,
    "temperature": 0.0,
    "modality_types": ["BAS", "RESP", "EKG", "EMG"],
    "sampling_duration": 5,
    "in_channels": 1,
    "patch_size": 640,
    "ünïcode": None,
}


HEADS: dict[str, Any] = {
    "staging": StagingConfig(16, 4, 2, 2, 24, max_steps=130),
    "diagnosis": RiskConfig(16, 2, 4, 24, max_steps=9, labels=2),
    "diagnosis-of-night-alone": RiskConfig(16, 1, 4, 24, max_steps=9, labels=2, demographics=0),
    "diagnosis-of-demographics-alone": DemographicRiskConfig(16, labels=7),
    "diagnosis-of-signals": SupervisedRiskConfig(16, 2, 4, 24, labels=7),
}


SIZES: dict[str, Any] = {"widths": (4, 6), "depths": (2,), "expansion": 2, "features": 8}
TOWERS: dict[str, Any] = {
    "effnet": EffNetConfig(3, 1, 1, embed_dim=4, **SIZES),
    "supervised-effnet": SupervisedEffNetConfig(2, 3, **SIZES),
}


def state_dicts_of_towers() -> dict[str, dict[str, torch.Tensor]]:
    """By the names of the three small towers."""
    entries = state_dict(TOWERS["effnet"])
    return {
        name: {
            key.removeprefix(f"{name}."): value
            for key, value in entries.items()
            if key.startswith(f"{name}.")
        }
        for name in NAMES
    }


def write_head(folder: Path, kind: str, prefix: str = "", **changes: Any) -> tuple[Path, Path]:
    """Writes best.pth, a bare state dict, and config.json of a small head."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {prefix + key: value for key, value in state_dict(HEADS[kind]).items()}
    torch.save(weights, folder / "best.pth")
    config_json.write(folder / "config.json", HEADS[kind], overwrite=True)
    settings = {"epochs": 10, **json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return folder / "best.pth", folder / "config.json"


def write(
    folder: Path,
    content: Any = None,
    config: FoundationConfig = SMALL,
    **changes: Any,
) -> tuple[Path, Path]:
    """Writes best.pt and config.json as PyTorch and a person would; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(base_checkpoint(config) if content is None else content, folder / "best.pt")
    config_json.write(folder / "config.json", config, {**SETTINGS, **changes}, overwrite=True)
    return folder / "best.pt", folder / "config.json"


def changed(change: Callable[[dict[str, torch.Tensor]], object]) -> dict[str, Any]:
    """A base checkpoint whose state dict has been changed."""
    content = base_checkpoint()
    change(content["state_dict"])
    return content
