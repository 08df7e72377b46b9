"""The README's way through the ICML 2024 system: simulate, clip, train, embed, probe, retrieve."""

import csv
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from sleepfm_jax import saved_model
from sleepfm_jax.input_pipeline import clips
from sleepfm_jax.train import icml2024, optimizers, state
from sleepfm_jax.train.mesh import make_mesh
from tests import command_lines

README = (Path(__file__).parents[1] / "README.md").read_text()
LOSSES = ("leave_one_out", "pairwise")
QUICK = {
    "simulate": " --nights 8 --hours 0.1",
    "clip": " --fractions 0.4,0.2,0.2,0.2 --seed 1",
    "pretrain": " --config.steps=3 --config.batches.batch_size=4 --config.loop.validate_every=3"
    " --config.model.widths='(4,6)' --config.model.depths='(1,)' --config.model.features=8",
    "probe": " --resamples 20",
    "retrieve": " --candidates 5 --resamples 20",
}
LEAST_TOP1 = 0.10  # among 100 clips across nights; chance is 0.01
LEAST_GAIN = 0.1  # of the probe's macro AUROC over that of newborn towers


def lines() -> list[str]:
    """What the README tells to do, in its order."""
    (block,) = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [line for line in block.splitlines() if line]


def command(line: str) -> str:
    return line.split()[1]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def top1(results: Path, *directions: tuple[str, str]) -> float:
    """The mean over directions (query, key) among a hundred candidates."""
    found = {(row["query"], row["key"]): row for row in rows(results / "retrieval.csv")}
    assert {found[direction]["candidates"] for direction in directions} == {"100"}
    return float(np.mean([float(found[direction]["top1"]) for direction in directions]))


def macro_auroc(results: Path) -> float:
    (row,) = [row for row in rows(results / "metrics.csv") if row["class"] == "macro"]
    return float(row["AUROC"])


def test_commands_run_as_written(tmp_path: Path) -> None:
    command_lines.run(tmp_path, [line + QUICK.get(command(line), "") for line in lines()])
    results = tmp_path / "clip_results"
    assert len(rows(results / "retrieval.csv")) == 9
    assert json.loads((results / "summary.json").read_text())["model_sha256"]
    for picture in ("stages.png", "retrieval.png"):
        assert (results / picture).stat().st_size > 10_000


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both losses by the README's lines, each in its own folder, and towers that learnt nothing."""
    folder = tmp_path_factory.mktemp("icml2024")
    told = lines()
    first = next(n for n, line in enumerate(told) if command(line) == "pretrain")
    command_lines.run(folder, told[:first], flags="")
    for name in (*LOSSES, "newborn"):
        (folder / name).mkdir()
        (folder / name / "clips").symlink_to(folder / "clips")

    def learn(loss: str) -> None:
        pretrain, *rest = told[first:]
        own = [f"{pretrain} --config.loss={loss}", *rest]
        command_lines.run(folder / loss, own, flags="", timeout=3600)

    with ThreadPoolExecutor(len(LOSSES)) as pool:
        list(pool.map(learn, LOSSES))
    save_newborn(folder / LOSSES[0] / "towers", folder / "newborn" / "towers")
    command_lines.run(folder / "newborn", told[first + 1 :], flags="")
    return folder


def save_newborn(trained: Path, path: Path) -> None:
    """Towers of the same size before the first step."""
    task = icml2024.Towers(saved_model.load(trained, "towers").config)  # type: ignore[arg-type]
    rate = optimizers.schedule(optimizers.OptimizerSettings(), 1, 1)
    optimizer = optimizers.make(optimizers.OptimizerSettings(), rate, task.nonnegative)
    mesh = make_mesh(devices=jax.devices()[:1])
    born = state.create_state(task.build, optimizer, mesh, seed=0)
    saved_model.save(path, task.export(born.params, born.extra, {}))


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_a_clip_is_found_among_a_hundred(learnt: Path, loss: str) -> None:
    """Each modality among the means of the others, and breath and heart in one another."""
    alone = [(modality, "others") for modality in clips.MODALITIES]
    pair = [("respiratory", "ekg"), ("ekg", "respiratory")]
    for directions in (alone, pair):
        found = top1(learnt / loss / "clip_results", *directions)
        print(f"{loss}: top-1 {found:.3f} of {directions}")
        assert found >= LEAST_TOP1
        assert top1(learnt / "newborn" / "clip_results", *directions) < LEAST_TOP1 / 2


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_stages_are_read_out_better_than_from_newborn_towers(learnt: Path, loss: str) -> None:
    found, newborn = (macro_auroc(learnt / name / "clip_results") for name in (loss, "newborn"))
    print(f"{loss}: macro AUROC {found:.3f}, newborn {newborn:.3f}")
    assert found >= newborn + LEAST_GAIN
