"""A model on disk: one folder with `config.json` and an Orbax checkpoint of its weights.

Conversion writes it, training exports it, jobs load it. The hash of every file of the weights is
kept beside them and checked on load, because a flipped bit restores without a word.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
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
DESCRIPTION = "config.json"
WEIGHTS = "weights"
CHECKPOINTS, MODEL = "checkpoints", "model"  # within the work directory of a run


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """What a model folder holds.

    Attributes:
        config: the model's size.
        weights: arrays by dotted path in the network: parameters, batch statistics, positional
            table; beside them `temperature` where contrastive pretraining left one.
        provenance: where the weights come from; only an export to PyTorch's format reads it.
    """

    config: FoundationConfig
    weights: dict[str, np.ndarray]
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        """SHA-256 over the size and over names, types, shapes and values of the weights."""
        digest = hashlib.sha256(json.dumps(dataclasses.asdict(self.config)).encode())
        for name, array in sorted(self.weights.items()):
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def save(path: str | os.PathLike[str], model: SavedModel) -> None:
    """Writes a model folder; it appears complete or not at all.

    Args:
        path: the folder; a model that stands there is replaced, nothing else ever is.
        model: what to write.

    Raises:
        InputError: something else stands there, or the folder cannot be written.
    """
    path = Path(path).resolve()  # a link stays, the folder it leads to is replaced
    _refuse_other_than_model(path)
    description = {
        "format": FORMAT,
        "kind": "foundation",
        "config": dataclasses.asdict(model.config),
        "sha256": model.content_hash,
        "written_by": f"sleepfm-jax {__version__}",
        "provenance": model.provenance,
    }
    try:
        with replacing(path) as temporary:
            with _alone() as checkpointer:
                checkpointer.save(temporary / WEIGHTS, dict(model.weights))
            description["files"] = _hashes(temporary)
            (temporary / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    except (OSError, ValueError, RuntimeError) as error:  # Orbax: a full disk is a ValueError
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"{path}: the model cannot be written ({reason}); free some space or choose another "
            "folder"
        ) from error


def load(path: str | os.PathLike[str]) -> SavedModel:
    """Reads a model folder and checks every byte of its weights.

    Args:
        path: the folder, or the work directory of a run, whose best model is taken.

    Raises:
        InputError: the folder is no model, is damaged, or was written by a newer version.
    """
    path = _home(Path(path))
    description = _read_description(path)
    config = _config(path, description)
    _check_files(path, description["files"])
    try:
        with _alone() as checkpointer:
            restored = checkpointer.restore(path.absolute() / WEIGHTS)
    except Exception as error:  # Orbax raises bare exceptions
        raise InputError(
            f"{path}: the weights cannot be read ({type(error).__name__}); import the model again"
        ) from error
    weights = {name: np.asarray(value) for name, value in restored.items()}
    model = SavedModel(config, weights, description.get("provenance", {}))
    if model.content_hash != description.get("sha256"):
        raise InputError(
            f"{path / DESCRIPTION}: has been changed, its settings and the weights no longer "
            "belong together; import the model again"
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


def _alone() -> ocp.StandardCheckpointer:
    """Orbax for this process; by itself it waits for all processes, of which one writes a model."""
    own = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"model{own}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=options)


def _home(path: Path) -> Path:
    """The model folder: the one given, or that of a run's work directory."""
    for folder in (path, path / MODEL):
        if (folder / DESCRIPTION).exists():
            return folder
    if (path / CHECKPOINTS).is_dir():
        raise InputError(
            f"{path}: this run has no model yet, its first checkpoint writes it; wait for that, or "
            "lower --config.loop.checkpoint_every and run it again"
        )
    return path


def _read_description(path: Path) -> dict[str, Any]:
    """The parsed `config.json` of a model folder of a format we know."""
    try:
        description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no model is here (no {DESCRIPTION}); make one with "
            "`python -m conversion import --checkpoint best.pt --config config.json "
            f"--output {path}`"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path / DESCRIPTION}: cannot be read ({error}); remove {path} and import the model "
            "again"
        ) from error
    if not isinstance(description, dict) or "written_by" not in description:
        raise InputError(
            f"{path / DESCRIPTION}: does not describe a sleepfm-jax model; a published PyTorch "
            "checkpoint is first converted with `python -m conversion import`"
        )
    if description.get("format") != FORMAT:
        raise InputError(
            f"{path}: has model format {description.get('format')}, this version reads {FORMAT}; "
            "update sleepfm-jax"
        )
    lacking = [key for key in ("config", "files") if not isinstance(description.get(key), dict)]
    if lacking:
        raise InputError(
            f"{path / DESCRIPTION}: lacks {' and '.join(lacking)}; import the model again"
        )
    return description


def _config(path: Path, description: Mapping[str, Any]) -> FoundationConfig:
    """The model's size; unknown and missing keys fail."""
    given = description["config"]
    odd = sorted(set(given) ^ {field.name for field in dataclasses.fields(FoundationConfig)})
    if odd:
        raise InputError(
            f"{path / DESCRIPTION}: its model settings lack or add {', '.join(odd)}; "
            "import the model again"
        )
    return FoundationConfig(**given)


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of the weights, by its path within the model folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / WEIGHTS).rglob("*"))
        if path.is_file()
    }


def _check_files(path: Path, expected: Mapping[str, str]) -> None:
    """Damaged weights never reach Orbax, which restores or reports them as it likes."""
    try:
        found = _hashes(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); import or copy it again") from error
    odd = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
    if odd:
        raise InputError(
            f"{path / odd[0]}: is damaged, missing or too much; import or copy the model again"
        )


def _refuse_other_than_model(path: Path) -> None:
    """What stands at `path` will be removed: it must be a model folder and hold nothing else."""
    try:
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return
        _read_description(path)
        others = {entry.name for entry in path.iterdir()} - {DESCRIPTION, WEIGHTS}
        found = f"holds {', '.join(sorted(others))} beside a model" if others else ""
    except (OSError, InputError):
        found = "is not a model folder"
    if found:
        raise InputError(
            f"{path}: stands there already and {found}, nothing was changed; choose another "
            "folder, or remove it"
        )
