"""Every command of the README, run as written by a stranger with a folder of nights."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.input_pipeline.simulate import simulate_night, write_edf

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


QUICKLY = "--xla_backend_optimization_level=1"  # half the time to compile
QUICK = {" pretrain ": " --config.steps=2 --config.batches.batch_size=2 --config.batches.slots=4"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short nights, a checkpoint in the published layout, and the model made of it."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "nights").mkdir()
    write_edf(folder / "night.edf", simulate_night(seed=1, night=0, hours=0.1))
    shutil.copy(folder / "night.edf", folder / "nights" / "first.edf")
    write_edf(folder / "nights" / "second.edf", simulate_night(seed=1, night=1, hours=0.1))
    run(folder, "python -m conversion create --seed 0 --output .")
    return folder


def run(folder: Path, command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**os.environ, "PATH": path, "XLA_FLAGS": QUICKLY, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_commands_run_as_written(folder: Path) -> None:
    commands = [line for block in blocks("bash") for line in block.splitlines() if line]
    assert any("embed" in command for command in commands)
    # The README tells first what to do and later how to get the model.
    commands.sort(key=lambda command: "conversion" not in command)
    for command in commands:
        run(folder, command + next((f for c, f in QUICK.items() if c in command), ""))
    assert (folder / "trained" / "pooled" / "first.hdf5").exists()
    names = {path.name for path in (folder / "pictures").iterdir()}
    assert names == {"first.png", "second.png"}
    run(folder, f"python -c '{blocks('python')[0]}'")


def test_promised_numbers_of_rows(folder: Path) -> None:
    from sleepfm_jax.input_pipeline import embeddings

    night = embeddings.read(folder / "embeddings", "first")
    assert {rows.shape for rows in night.sequence.values()} == {(72, 128)}
    assert {rows.shape for rows in night.pooled.values()} == {(2, 128)}
    assert all(np.isfinite(rows).all() for rows in night.sequence.values())


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
