"""The `config.json` beside a published checkpoint (spec §4): the model's size out of it, and back.

Every setting is kept as it was, known here or not, so that an export gives the file back.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion import published
from conversion.published import Published
from conversion.writing import write_new
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import CAPS
from sleepfm_jax.models.kinds import Config

BASE = published.BY_KIND["base"]
# No size is larger; a typo is refused before it fills the memory.
LARGEST, LARGEST_OF = 4096, {"max_seq_length": 2**17, "num_classes": 2**17}
PARAMS = "model_params"  # where a head's config.json has the sizes

# Facts of the architecture that a config.json repeats: another value would be another model.
FIXED = {"in_channels": 1, "patch_size": 640, "sampling_freq": 128}

# What published code expects beside them; written for a model that was born here.
MODALITIES = [modality.name for modality in Modality]
CUSTOMARY = {
    "sampling_duration": 5,
    "modality_types": MODALITIES,
    **{f"{modality.name}_CHANNELS": cap for modality, cap in CAPS.items()},
}


def read(path: str | Path) -> tuple[Config, dict[str, Any]]:
    """Reads the config.json of a base model or a head.

    Returns:
        the model's size, whose type tells the kind, and all settings as they stand in the file.

    Raises:
        InputError: no JSON, an unknown model class, a missing, impossible or unknown size; all
            faults named.
    """
    settings = read_settings(path)
    name = settings.get("model", None if PARAMS in settings else BASE.name)
    model = published.BY_NAME.get(name) if isinstance(name, str) else None
    if model is None:
        raise InputError(
            f"{path}: model is {name!r}, none of {', '.join(published.BY_NAME)}; give the "
            "config.json of such a model"
        )
    sizes: Any = settings if model is BASE else settings.get(PARAMS)
    faults = _faults(model, settings, sizes)
    if faults:
        raise InputError(
            f"{path}: {'; '.join(faults)}; give the config.json that came with the checkpoint"
        )
    found = {field: sizes[key] for key, field in model.sizes.items()}
    config = model.config(**found)
    if hasattr(config, "demographics") and not model.demographics:
        config = dataclasses.replace(config, demographics=0)
    return config, settings


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
    config: Config,
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
        InputError: another file stands there, it cannot be written, or no published class is like
            the model.
    """
    model = published.of(config)
    if model in published.TOLD_BY_CHECKPOINT:
        raise InputError(
            f"{path}: the published system has no config.json for such a model, its checkpoint "
            "tells all; leave --config out"
        )
    sizes = {key: getattr(config, field) for key, field in model.sizes.items()}
    content = dict(settings or _customary(model, sizes))
    if model is BASE:
        content |= sizes
    else:
        content[PARAMS] = {**content.get(PARAMS, {}), **sizes}
    write_new(path, (json.dumps(content, indent=2) + "\n").encode(), overwrite)


def _customary(model: Published, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a model that was born here."""
    if model is BASE:
        return {"model": model.name, **FIXED, **CUSTOMARY}
    heads = {} if "pooling_head" not in sizes else {"num_heads": sizes["pooling_head"]}
    modalities = "channel_like" if model.kind == "staging" else "modality_types"
    return {"model": model.name, PARAMS: heads, "max_channels": 4, modalities: MODALITIES}


def _faults(model: Published, settings: Mapping[str, Any], sizes: Any) -> list[str]:
    if not isinstance(sizes, dict):
        return [f"{PARAMS} is missing or no JSON object"]
    facts = FIXED if model is BASE else {}
    other = [key for key, value in facts.items() if settings.get(key, value) != value]
    faults = [f"{key} is {settings[key]!r}, only {FIXED[key]!r} is this model" for key in other]
    if model is not BASE:
        unknown = sorted(sizes.keys() - set(published.HEAD_KEYS))
        faults += [f"{key} is no size of a {model.name}" for key in unknown]
    faults += [f"{key} is missing" for key in model.sizes if key not in sizes]
    given = {key: sizes[key] for key in model.sizes if key in sizes}
    dropout = given.pop("dropout", 0)
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        faults.append(f"dropout is {dropout!r}, not a number from 0 to below 1")
    faults += [
        f"{key} is {size!r}, not a whole number from 1 to {LARGEST_OF.get(key, LARGEST)}"
        for key, size in given.items()
        if type(size) is not int or not 1 <= size <= LARGEST_OF.get(key, LARGEST)
    ]
    heads = {given[key] for key in ("num_heads", "pooling_head") if key in given and not faults}
    return faults or [
        f"embed_dim is {given['embed_dim']}, not a multiple of {divisor}"
        for divisor in sorted({4 if model.demographics else 2, *heads})
        if given["embed_dim"] % divisor
    ]
