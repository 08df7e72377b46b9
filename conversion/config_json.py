"""The `config.json` beside a published checkpoint (spec §4): the model's size out of it, and back.

Every setting is kept as it was, known here or not, so that an export gives the file back.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.writing import write_new
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import CAPS
from sleepfm_jax.models.foundation import FoundationConfig

MODEL_CLASS = "SetTransformer"
LARGEST = 4096  # no size is larger; a typo is refused before it fills the memory

# {key: field of FoundationConfig}
SIZES = {
    "embed_dim": "embed_dim",
    "num_heads": "num_heads",
    "num_layers": "num_layers",
    "pooling_head": "pooling_heads",
    "dropout": "dropout",
}
# Facts of the architecture that a config.json repeats: another value would be another model.
FIXED = {"model": MODEL_CLASS, "in_channels": 1, "patch_size": 640, "sampling_freq": 128}

# What published code expects beside them; written for a model that was born here.
CUSTOMARY = {
    "sampling_duration": 5,
    "modality_types": [modality.name for modality in Modality],
    **{f"{modality.name}_CHANNELS": cap for modality, cap in CAPS.items()},
}


def read(path: str | Path) -> tuple[FoundationConfig, dict[str, Any]]:
    """Reads the config.json of a base model.

    Returns:
        the model's size, and all settings as they stand in the file.

    Raises:
        InputError: no JSON, another model class, a missing or impossible size; all faults named.
    """
    settings = read_settings(path)
    faults = _faults(settings)
    if faults:
        raise InputError(f"{path}: {'; '.join(faults)}; give the config.json of a base checkpoint")
    return FoundationConfig(**{field: settings[key] for key, field in SIZES.items()}), settings


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings of any published model's config.json.

    Raises:
        InputError: the file is missing or no JSON object.
    """
    try:
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened ({error.strerror or error}); give the config.json that came "
            "with the checkpoint"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON ({error}); download it again") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: is not a JSON object; give the checkpoint's config.json")
    return settings


def write(
    path: str | Path,
    config: FoundationConfig,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a config.json in the published layout.

    Args:
        path: of the file.
        config: the model's size.
        settings: what `read` returned, if the model came with some.
        overwrite: whether another file that stands there is replaced.

    Raises:
        InputError: another file stands there, or it cannot be written.
    """
    sizes = {key: getattr(config, field) for key, field in SIZES.items()}
    content = {**(settings or {**FIXED, **CUSTOMARY}), **sizes}
    write_new(path, (json.dumps(content, indent=2) + "\n").encode(), overwrite)


def _faults(settings: Mapping[str, Any]) -> list[str]:
    other = [key for key, value in FIXED.items() if settings.get(key, value) != value]
    faults = [f"{key} is {settings[key]!r}, only {FIXED[key]!r} is this model" for key in other]
    faults += [f"{key} is missing" for key in SIZES if key not in settings]
    given = {key: settings[key] for key in SIZES if key in settings}
    dropout = given.pop("dropout", 0)
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        faults.append(f"dropout is {dropout!r}, not a number from 0 to below 1")
    faults += [
        f"{key} is {size!r}, not a whole number from 1 to {LARGEST}"
        for key, size in given.items()
        if type(size) is not int or not 1 <= size <= LARGEST
    ]
    return faults or [
        f"embed_dim is {given['embed_dim']}, not a multiple of {divisor}"
        for divisor in sorted({2, given["num_heads"], given["pooling_head"]})
        if given["embed_dim"] % divisor
    ]
