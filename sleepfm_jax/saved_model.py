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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.outcomes import Encoding
from sleepfm_jax.models.kinds import KINDS, Config, kind_of, network_of
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import insert
from sleepfm_jax.version import __version__

FORMAT = 1
DESCRIPTION = "config.json"
WEIGHTS = "weights"
CHECKPOINTS, MODEL = "checkpoints", "model"  # within the work directory of a run


# What a model is for, by its place in a folder of models, and the kinds that can be it.
ROLES = {
    "base": ("foundation",),
    "staging": ("staging",),
    "diagnosis": ("risk", "demographic_risk", "supervised_risk"),
    "towers": ("effnet",),  # of the ICML 2024 system
    "stage_tower": ("supervised_effnet",),
}
LISTS = ("channel_groups.json", "label_mapping.csv")  # of a release, beside its models


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
    _refuse(path, "a model folder", _strangers(path))
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
    _refuse(path, "a folder of models", _strangers_among_models(path))
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
    description["files"] = _hashes(folder)
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
    path = _home(Path(path), role)
    description = _read_description(path)
    config = _config(path, description)
    if role and kind_of(config) not in ROLES[role]:
        raise InputError(
            f"{path}: is a model of kind {kind_of(config)}, not the {role} model that is needed; "
            "give another folder"
        )
    _check_files(path, description["files"])
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


def role_of(path: str | os.PathLike[str], roles: Sequence[str]) -> str:
    """What a model is for, without reading its weights.

    Args:
        path: as of `load`.
        roles: that it can have; of a folder of models the first that is there is told.

    Raises:
        InputError: the folder is no model, or one for something else.
    """
    faults = []
    for role in roles:
        try:
            home = _home(Path(path), role)
            kind = kind_of(_config(home, _read_description(home)))
        except InputError as error:
            faults.append(error)
            continue
        if kind in ROLES[role]:
            return role
        wanted = " or ".join(roles)
        faults.append(
            InputError(f"{home}: is a model of kind {kind}, no {wanted}; give another folder")
        )
    raise faults[0]


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


def _home(path: Path, role: str | None) -> Path:
    """The model folder: the one given, or the one in a work directory or folder of models."""
    for folder in (path, path / MODEL):
        if (folder / DESCRIPTION).exists():
            return folder
        found = [name for name in ROLES if (folder / name / DESCRIPTION).exists()]
        if role in found or (role is None and len(found) == 1):
            return folder / (role or found[0])
        if found and role:
            raise InputError(
                f"{folder}: has no {role} model, only {' and '.join(found)}; give another folder"
            )
        if found:
            raise InputError(
                f"{folder}: is a folder of models ({', '.join(found)}); give the one that is "
                f"needed, such as {folder / found[0]}"
            )
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


def _config(path: Path, description: Mapping[str, Any]) -> Config:
    """The model's size; unknown and missing keys fail."""
    kind = description.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(
            f"{path}: has a model of kind {kind!r}, this version knows {', '.join(KINDS)}; "
            "update sleepfm-jax"
        )
    given, config = description["config"], KINDS[kind].config
    odd = sorted(set(given) ^ {field.name for field in dataclasses.fields(config)})
    if odd:
        raise InputError(
            f"{path / DESCRIPTION}: its model settings lack or add {', '.join(odd)}; "
            "import the model again"
        )
    try:
        return config(**given)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path / DESCRIPTION}: has impossible model settings ({error}); import the model again"
        ) from error


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


def _refuse(path: Path, what: str, strangers: set[str] | None) -> None:
    """What stands at `path` will be removed: it must be `what` and hold nothing else.

    Args:
        path: that will be replaced.
        what: may stand there.
        strangers: what else it holds; None: it is not that at all.

    Raises:
        InputError: it must not be removed.
    """
    if strangers is None or strangers:
        names = ", ".join(sorted(strangers or ()))
        found = f"holds {names} beside what belongs to {what}" if names else f"is not {what}"
        raise InputError(
            f"{path}: stands there already and {found}, nothing was changed; choose another "
            "folder, or remove it"
        )


def _strangers(path: Path) -> set[str] | None:
    """What a folder holds beside a model; None if it is no model folder."""
    try:
        if _is_free(path):
            return set()
        _read_description(path)
        return {entry.name for entry in path.iterdir()} - {DESCRIPTION, WEIGHTS}
    except (OSError, InputError):
        return None


def _strangers_among_models(path: Path) -> set[str] | None:
    """What a folder holds beside models and their lists; None if it holds no models."""
    try:
        if _is_free(path):
            return set()
        names = {entry.name for entry in path.iterdir()}
    except OSError:
        return None
    models = {name for name in names & ROLES.keys() if _strangers(path / name) == set()}
    return names - models - set(LISTS) if models else None


def _is_free(path: Path) -> bool:
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))
