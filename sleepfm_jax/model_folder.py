"""The folders that models stand in: where one is, what it says of itself, what may be replaced."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sleepfm_jax.errors import InputError
from sleepfm_jax.models.kinds import KINDS, Config, kind_of

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
            folder = home(Path(path), role)
            kind = kind_of(config_of(folder, read_description(folder)))
        except InputError as error:
            faults.append(error)
            continue
        if kind in ROLES[role]:
            return role
        wanted = " or ".join(roles)
        faults.append(
            InputError(f"{folder}: is a model of kind {kind}, no {wanted}; give another folder")
        )
    raise faults[0]


def home(path: Path, role: str | None) -> Path:
    """The model folder: the one given, or the one in a work directory or folder of models.

    Args:
        path: that was given.
        role: what the model must be for, one of `ROLES`; None: it may be any.

    Raises:
        InputError: there are several models, or none for that, or none yet.
    """
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


def read_description(path: Path) -> dict[str, Any]:
    """The parsed `config.json` of a model folder.

    Args:
        path: the folder.

    Raises:
        InputError: there is none, it cannot be read, or it is of a format that we do not know.
    """
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


def config_of(path: Path, description: Mapping[str, Any]) -> Config:
    """The model's size.

    Args:
        path: the folder, for people.
        description: of it.

    Raises:
        InputError: the kind is unknown, keys are missing or too much, or sizes are impossible.
    """
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


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of the weights, by its path within the model folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / WEIGHTS).rglob("*"))
        if path.is_file()
    }


def check_files(path: Path, expected: Mapping[str, str]) -> None:
    """Refuses damaged weights; Orbax would restore or report them as it likes.

    Args:
        path: the folder.
        expected: SHA-256 of each file, as of `hashes`.

    Raises:
        InputError: a file is damaged, missing or too much.
    """
    try:
        found = hashes(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); import or copy it again") from error
    odd = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
    if odd:
        raise InputError(
            f"{path / odd[0]}: is damaged, missing or too much; import or copy the model again"
        )


def refuse(path: Path, what: str, others: set[str] | None) -> None:
    """What stands at `path` will be removed: it must be `what` and hold nothing else.

    Args:
        path: that will be replaced.
        what: may stand there.
        others: what else it holds; None: it is not that at all.

    Raises:
        InputError: it must not be removed.
    """
    if others is None or others:
        names = ", ".join(sorted(others or ()))
        found = f"holds {names} beside what belongs to {what}" if names else f"is not {what}"
        raise InputError(
            f"{path}: stands there already and {found}, nothing was changed; choose another "
            "folder, or remove it"
        )


def strangers(path: Path) -> set[str] | None:
    """What a folder holds beside a model; None if it is no model folder."""
    try:
        if _is_free(path):
            return set()
        read_description(path)
        return {entry.name for entry in path.iterdir()} - {DESCRIPTION, WEIGHTS}
    except (OSError, InputError):
        return None


def strangers_among_models(path: Path) -> set[str] | None:
    """What a folder holds beside models and their lists; None if it holds no models."""
    try:
        if _is_free(path):
            return set()
        names = {entry.name for entry in path.iterdir()}
    except OSError:
        return None
    models = {name for name in names & ROLES.keys() if strangers(path / name) == set()}
    return names - models - set(LISTS) if models else None


def _is_free(path: Path) -> bool:
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))
