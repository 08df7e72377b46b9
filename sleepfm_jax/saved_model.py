"""A model on disk: one folder with `config.json` and an Orbax checkpoint of its weights.

Conversion writes it, training exports it, jobs load it. A content hash is kept beside the weights
and checked on load, because a flipped bit in a checkpoint restores without a word.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import insert
from sleepfm_jax.version import __version__

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """What a model folder holds.

    Attributes:
        config: the model's size.
        weights: arrays by dotted path in the network: parameters, batch statistics, positional
            table; beside them `temperature` where contrastive pretraining left one.
        provenance: where the weights come from; kept, never interpreted.
    """

    config: FoundationConfig
    weights: dict[str, np.ndarray]
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        """SHA-256 over names, types, shapes and values of the weights."""
        digest = hashlib.sha256()
        for name, array in sorted(self.weights.items()):
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def save(path: str | os.PathLike[str], model: SavedModel) -> None:
    """Writes a model folder; it appears complete or not at all.

    Args:
        path: the folder; one that stands there is replaced.
        model: what to write.

    Raises:
        InputError: the folder cannot be written.
    """
    description = {
        "format": FORMAT,
        "kind": "foundation",
        "config": dataclasses.asdict(model.config),
        "weights_sha256": model.content_hash,
        "written_by": f"sleepfm-jax {__version__}",
        "provenance": model.provenance,
    }
    try:
        with replacing(path) as temporary:
            with ocp.StandardCheckpointer() as checkpointer:
                checkpointer.save(temporary.absolute() / "weights", dict(model.weights))
            (temporary / "config.json").write_text(json.dumps(description, indent=2) + "\n")
    except OSError as error:
        raise InputError(
            f"{path}: the model cannot be written ({error.strerror or error}); free some space or "
            "choose another folder"
        ) from error


def load(path: str | os.PathLike[str]) -> SavedModel:
    """Reads a model folder and checks every value against its content hash.

    Raises:
        InputError: the folder is no model, is damaged, or was written by a newer version.
    """
    path = Path(path)
    description = _read_description(path)
    config = _config(path, description)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            restored = checkpointer.restore(path.absolute() / "weights")
    except Exception as error:  # Orbax raises bare exceptions for truncated data
        raise InputError(
            f"{path}: the weights cannot be read ({type(error).__name__}), the model folder is "
            "incomplete or damaged; import or copy it again"
        ) from error
    weights = {name: np.asarray(value) for name, value in restored.items()}
    model = SavedModel(config, weights, description.get("provenance", {}))
    if model.content_hash != description.get("weights_sha256"):
        raise InputError(
            f"{path}: the weights differ from their content hash, the model folder is damaged; "
            "import or copy it again"
        )
    return model


def build(model: SavedModel, numerics: Numerics | None = None) -> SleepFM:
    """The network with the saved weights, set for inference (no dropout, running statistics).

    Args:
        model: what `load` returned.
        numerics: types and precision; float32 at the highest precision if None.

    Raises:
        InputError: the weights do not fit the configuration.
    """
    try:
        network = insert(
            lambda: SleepFM(model.config, numerics or Numerics(), rngs=nnx.Rngs(0)), model.weights
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the model's weights do not fit its configuration ({error}); import it again"
        ) from error
    return nnx.view(network, deterministic=True, use_running_average=True)


def _read_description(path: Path) -> dict[str, Any]:
    """The parsed `config.json` of a model folder of a format we know."""
    try:
        description = json.loads((path / "config.json").read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no model is here (no config.json); make one with "
            "`python -m conversion import --checkpoint best.pt --config config.json "
            f"--output {path}`"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path / 'config.json'}: cannot be read ({error}); import the model again"
        ) from error
    if not isinstance(description, dict) or "weights_sha256" not in description:
        raise InputError(
            f"{path / 'config.json'}: does not describe a sleepfm-jax model; a published PyTorch "
            "checkpoint is first converted with `python -m conversion import`"
        )
    if description.get("format") != FORMAT:
        raise InputError(
            f"{path}: has model format {description.get('format')}, this version reads {FORMAT}; "
            "update sleepfm-jax"
        )
    return description


def _config(path: Path, description: Mapping[str, Any]) -> FoundationConfig:
    """The model's size; unknown and missing keys fail."""
    given = description.get("config")
    known = {field.name for field in dataclasses.fields(FoundationConfig)}
    if not isinstance(given, dict) or set(given) != known:
        odd = sorted(set(given or ()) ^ known)
        raise InputError(
            f"{path / 'config.json'}: its model settings lack or add {', '.join(odd)}; "
            "import the model again"
        )
    return FoundationConfig(**given)
