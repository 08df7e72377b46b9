"""Three kills of a real run, one of them while it saves: what it leaves is bit-equal."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kill_and_resume import SAVE, START, STEP, Kill, Run, differences, draw, stacks
from tests.train import small_store

STEPS = 30
VALUES = [f"steps={STEPS}", "loop.validation_windows=4"]
QUICK = "tests.train.quick_main"  # the benchmark does the same with the real network


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("kills")
    run = Run(folder / "undisturbed", small_store.path(), folder / "programs", VALUES, QUICK)
    said = run.to_the_end()
    assert "done; the model is" in said
    assert "Traceback" not in said
    return run


def test_a_run_killed_three_times_ends_bit_equal(undisturbed: Run) -> None:
    folder = undisturbed.workdir.parent
    run = Run(folder / "killed", small_store.path(), folder / "programs", VALUES, QUICK)
    first = run.killed(Kill(STEP, 1, 0.1))
    assert first["killed"]
    saving = run.killed(Kill(SAVE, 9))
    assert saving["killed"]
    assert saving["unfinished"], "the kill came too late: the save was finished"
    third = run.killed(Kill(STEP, 20))
    assert third["killed"]
    assert third["from"] <= saving["saved"] < STEPS
    said = run.to_the_end()
    assert f"going on from step {third['saved']} of {STEPS}" in said
    assert differences(undisturbed.workdir, run.workdir) == []
    litter = [path.name for path in run.workdir.iterdir() if path.name.endswith(".partial")]
    assert litter == []


def test_a_difference_would_be_seen(undisturbed: Run, tmp_path: Path) -> None:
    other = shutil.copytree(undisturbed.workdir, tmp_path / "other")
    assert differences(undisturbed.workdir, other) == []
    metrics = other / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    lines[3]["train/loss"] *= 1 + 1e-15
    lines[4]["speed/data_wait"] = 0.5
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = other / "checkpoints" / str(STEPS) / "record" / "record.json"
    content = json.loads(record.read_text())
    name = next(name for name in content["content"]["hashes"] if "kernel" in name)
    content["content"]["hashes"][name] = "0" * 16
    content["content"]["position"]["batches"]["next_batch"] += 1
    record.write_text(json.dumps(content))
    loss, position, array = differences(undisturbed.workdir, other)
    assert loss.startswith("metrics of step 4: train/loss is ")
    assert position.startswith("position is ")
    assert array == f"array {name}"


def test_moments_are_drawn_from_the_seed() -> None:
    kills = draw(20, 60, 0)
    assert kills == draw(20, 60, 0) != draw(20, 60, 1)
    assert {kill.kind for kill in kills} == {STEP, SAVE, START}
    assert all(kill.step < 55 for kill in kills)


def test_a_run_that_stands_still_tells_where(tmp_path: Path) -> None:
    program = "def waits():\n print('begun', flush=True)\n while True: pass\nwaits()"
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", program],
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    while (tmp_path / "said").read_text() != "begun\n":
        assert process.poll() is None
    told = stacks(process, tmp_path / "said")
    assert process.returncode
    assert told.startswith("begun\n")
    assert "in waits" in told
