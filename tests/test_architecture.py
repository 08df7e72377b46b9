"""The house's arrows: a room imports only from rooms below it, and the pipeline never JAX."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the roof down. A new file or folder of the package gets its place here.
ROOMS = (
    "conversion",
    "__init__",  # of the package: what `import sleepfm_jax` offers
    "main",
    "commands",
    "jobs",
    "train",
    "inference",
    "saved_model",
    "model_folder",
    "evaluate",
    "losses",
    "models",
    "input_pipeline",
    "atomic",
    "errors",
    "version",
    "configs",
)
OWN = ("sleepfm_jax", "conversion", "benchmarks", "tests")
READS_FILES = {"h5py", "json", "mne", "os", "pathlib", "shutil", "tempfile"}
FILES = sorted([*(ROOT / "sleepfm_jax").rglob("*.py"), *(ROOT / "conversion").rglob("*.py")])


def imports(source: str) -> Iterator[str]:
    """Full names of all that a source imports, wherever it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """Of a module by its full name."""
    top, *rest = name.split(".")
    return rest[0] if top == "sleepfm_jax" and rest else top


def room_of(file: Path) -> str:
    return room(".".join(file.relative_to(ROOT).with_suffix("").parts))


def imported(of: str) -> dict[str, set[Path]]:
    """What the files of a room import, and which of them do."""
    found: dict[str, set[Path]] = {}
    for file in FILES:
        if room_of(file) == of:
            for name in imports(file.read_text()):
                found.setdefault(name, set()).add(file)
    return found


@pytest.mark.parametrize("of", ROOMS)
def test_arrows_point_down(of: str) -> None:
    targets = {room(name): files for name, files in imported(of).items() if belongs(name)}
    for target, files in targets.items():
        assert target in ROOMS, f"{files} import {target}, which has no place in ROOMS"
        assert ROOMS.index(target) >= ROOMS.index(of), f"{files} of {of} import {target} above"


def belongs(name: str) -> bool:
    return name.split(".")[0] in OWN


def test_every_file_has_its_room() -> None:
    assert {room_of(file) for file in FILES} == set(ROOMS)


def test_the_input_pipeline_is_numpy_and_readers_of_files() -> None:
    """Its workers start in milliseconds and fork safely."""
    outside = {n.split(".")[0] for n in imported("input_pipeline") if not belongs(n)}
    readers = {"mne", "h5py", "edfio", "grain", "absl", "wfdb"}
    readers |= {"array_record", "google", "tensorflow_datasets", "zstandard"}
    assert outside - sys.stdlib_module_names <= {"numpy", "scipy", *readers}


def test_models_know_nothing_of_files() -> None:
    names = {name.split(".")[0] for name in imported("models")}
    assert names - sys.stdlib_module_names <= {"numpy", "jax", "flax", "sleepfm_jax"}
    assert not names & READS_FILES
    assert {room(name) for name in imported("models") if belongs(name)} == {"models"}


def test_pytorch_is_at_home_in_conversion_alone() -> None:
    users = {of for of in ROOMS if "torch" in {name.split(".")[0] for name in imported(of)}}
    assert users == {"conversion"}


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
import numpy as np
from sleepfm_jax import jobs
def late():
    from sleepfm_jax.models.layers import Numerics
"""
    found = list(imports(source))
    assert found == ["numpy", "sleepfm_jax.jobs", "sleepfm_jax.models.layers.Numerics"]
    assert [room(name) for name in found] == ["numpy", "jobs", "models"]
    assert "inference" in {room(name) for name in imported("jobs")}


def test_files_are_named_for_what_they_hold() -> None:
    assert not {file.stem for file in FILES} & {"utils", "util", "helpers", "common", "misc"}
