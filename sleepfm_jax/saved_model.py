"""A model on disk: one folder with `config.json` and an Orbax checkpoint of its weights.

A folder of models holds several that belong together. The hash of every file of the weights is kept
beside them and checked on load, because a flipped bit restores without a word.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.outcomes import Encoding
from sleepfm_jax.model_folder import (
    CHECKPOINTS,
    DESCRIPTION,
    FORMAT,
    LISTS,
    MODEL,
    ROLES,
    WEIGHTS,
    check_files,
    config_of,
    hashes,
    home,
    read_description,
    refuse,
    role_of,
    strangers,
    strangers_among_models,
)
from sleepfm_jax.models.kinds import Config, kind_of, network_of
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import insert
from sleepfm_jax.version import __version__

__all__ = [
    "CHECKPOINTS",
    "MODEL",
    "ROLES",
    "Config",
    "Outcomes",
    "SavedModel",
    "build",
    "load",
    "network_of",
    "role_of",
    "save",
    "save_together",
]


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """What log hazards are of, and how the people are described to the model.

    Attributes:
        labels: (phecode, phenotype) of each output.
        encoding: of ages and sexes.
    """

    labels: tuple[tuple[str, str], ...]
    encoding: Encoding = dataclasses.field(default_factory=Encoding)


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """What a model folder holds.

    Attributes:
        config: the model's size; its type tells which network it is.
        weights: arrays by dotted path in the network: parameters, batch statistics, positional
            table; beside them `temperature` where contrastive pretraining left one, and
            `baseline.times` (K,) with `baseline.cumulative` (K, L) where training measured the
            baseline hazard of its diseases.
        provenance: where the weights come from; only an export to PyTorch's format reads it.
        outcomes: of a model of disease risk, if they are known.
    """

    config: Config
    weights: dict[str, np.ndarray]
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)
    outcomes: Outcomes | None = None

    @property
    def content_hash(self) -> str:
        """SHA-256 over size and outcomes, and names, types, shapes and values of the weights."""
        digest = hashlib.sha256(json.dumps(dataclasses.asdict(self.config)).encode())
        if self.outcomes is not None:
            digest.update(json.dumps(dataclasses.asdict(self.outcomes)).encode())
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
    refuse(path, "a model folder", strangers(path))
    with _telling(path), replacing(path) as temporary:
        _write(temporary, model)


def save_together(path: str | os.PathLike[str], models: Mapping[str, SavedModel]) -> None:
    """Writes a folder of models; it appears complete or not at all.

    Args:
        path: the folder; a folder of models that stands there is replaced, nothing else ever is.
            Its lists of channels and labels stay.
        models: by what they are for, one of `ROLES`.

    Raises:
        InputError: something else stands there, or the folder cannot be written.
    """
    assert models.keys() <= ROLES.keys()
    assert all(kind_of(model.config) in ROLES[role] for role, model in models.items())
    path = Path(path).resolve()
    refuse(path, "a folder of models", strangers_among_models(path))
    with _telling(path), replacing(path) as temporary:
        for role, model in models.items():
            _write(temporary / role, model)
        for name in LISTS:
            if (path / name).exists():
                shutil.copy2(path / name, temporary / name)


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # Orbax: a full disk is a ValueError
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"{path}: the model cannot be written ({reason}); free some space or choose another "
            "folder"
        ) from error


def _write(folder: Path, model: SavedModel) -> None:
    description = {
        "format": FORMAT,
        "kind": kind_of(model.config),
        "config": dataclasses.asdict(model.config),
        "sha256": model.content_hash,
        "written_by": f"sleepfm-jax {__version__}",
        "provenance": model.provenance,
    }
    if model.outcomes is not None:
        description["outcomes"] = dataclasses.asdict(model.outcomes)
    with _alone() as checkpointer:
        checkpointer.save(folder / WEIGHTS, dict(model.weights))
    description["files"] = hashes(folder)
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")


def load(path: str | os.PathLike[str], role: str | None = None) -> SavedModel:
    """Reads a model folder and checks every byte of its weights.

    Args:
        path: the folder; or the work directory of a run, whose best model is taken; or a folder of
            models.
        role: what the model must be for, one of `ROLES`. None: it may be any; a folder of models
            must hold just one.

    Raises:
        InputError: the folder is no model, is one of another kind, is damaged, or was written by a
            newer version.
    """
    path = home(Path(path), role)
    description = read_description(path)
    config = config_of(path, description)
    if role and kind_of(config) not in ROLES[role]:
        raise InputError(
            f"{path}: is a model of kind {kind_of(config)}, not the {role} model that is needed; "
            "give another folder"
        )
    check_files(path, description["files"])
    try:
        with _alone() as checkpointer:
            restored = checkpointer.restore(path.absolute() / WEIGHTS)
    except Exception as error:  # Orbax raises bare exceptions
        raise InputError(
            f"{path}: the weights cannot be read ({type(error).__name__}); import the model again"
        ) from error
    weights = {name: np.asarray(value) for name, value in restored.items()}
    model = SavedModel(
        config, weights, description.get("provenance", {}), _outcomes(path, description)
    )
    if model.content_hash != description.get("sha256"):
        raise InputError(
            f"{path / DESCRIPTION}: has been changed, its settings and the weights no longer "
            "belong together; import the model again"
        )
    return model


def build(model: SavedModel, numerics: Numerics | None = None) -> Any:
    """The network with the saved weights, set for inference (no dropout, running statistics).

    Args:
        model: what `load` returned.
        numerics: types and precision; float32 at the highest precision if None.

    Raises:
        InputError: the weights do not fit the configuration.
    """
    try:
        network = insert(
            lambda: network_of(model.config, numerics, rngs=nnx.Rngs(0)), model.weights
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the model's weights do not fit its configuration ({error}); import it again"
        ) from error
    # Not every network has a batch norm.
    evaluation = {"deterministic": True, "use_running_average": True}
    return nnx.view(network, raise_if_not_found=False, **evaluation)


def _alone() -> ocp.StandardCheckpointer:
    """Orbax for this process; by itself it waits for all processes, of which one writes a model."""
    own = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"model{own}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=options)


def _outcomes(path: Path, description: Mapping[str, Any]) -> Outcomes | None:
    given = description.get("outcomes")
    if given is None:
        return None
    try:
        labels = tuple((str(phecode), str(phenotype)) for phecode, phenotype in given["labels"])
        return Outcomes(labels, Encoding(**given["encoding"]))
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise InputError(
            f"{path / DESCRIPTION}: its outcomes cannot be read ({type(error).__name__}: {error}); "
            "import or train the model again"
        ) from error
