"""Several processes train as one: the same numbers, one writer, one end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from sleepfm_jax import saved_model
from sleepfm_jax.train import lost_process, metrics_file
from tests.train import small_run, small_store

ROOT = Path(__file__).parents[2]
LONGEST = 400  # seconds that a healthy run may take on a busy machine
STEPS = 12
SLOWEST_END = 90  # seconds from the death of a process to the end of the other; 10 are set


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def start(module: str, *arguments: object, devices: int) -> subprocess.Popen[str]:
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.multiprocess.{module}", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "GLOG_minloglevel": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def ended(workers: list[subprocess.Popen[str]]) -> Iterator[list[subprocess.Popen[str]]]:
    """Leaves none of them behind."""
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def finish(workers: list[subprocess.Popen[str]], seconds: float = LONGEST) -> list[tuple[str, str]]:
    return [worker.communicate(timeout=seconds) for worker in workers]


def test_twenty_steps_of_two_processes_are_those_of_one_device(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "told.npz"
    arguments = port, file, tmp_path / "programs"
    with ended(
        [start("pretraining_worker", rank, *arguments, devices=2) for rank in (0, 1)]
    ) as workers:
        with jax.enable_x64(True):
            run = small_run.single("float64")
            now, seen = run.steps(run.born(), [small_run.batch(n) for n in range(20)])
            final, losses = small_run.arrays(now), [metrics["loss"] for metrics in seen]
        told = finish(workers)
    assert [worker.returncode for worker in workers] == [0, 0], told
    found = np.load(file)
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-8)
    assert losses[-1] < losses[0], "twenty steps that learn nothing test nothing"
    for name, array in final.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-8, atol=1e-8, err_msg=name)


class Runs:
    """`sleepfm-jax pretrain` on four emulated devices, of one process or of two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config = folder / "config.py"
        nothing = {"count": 0, "index": 0, "coordinator": "", "timeout": 60}
        tree = small_store.config(
            steps=STEPS,
            # AdamW makes a step out of the rounding of a gradient that is zero, such as that of a
            # bias before a batch norm; running means follow it, and differ between layouts.
            optimizer={"name": "sgd", "learning_rate": 0.01, "schedule": "constant"},
            batches__batch_size=8,
            loop__validate_every=6,
            loop__checkpoint_every=1000,
            processes=nothing,
        )
        self._config.write_text(
            "from ml_collections import ConfigDict\n"
            f"def get_config():\n    return ConfigDict({json.loads(json.dumps(tree))!r})\n"
        )

    def start(self, workdir: Path, count: int, *flags: str) -> list[subprocess.Popen[str]]:
        both = f"--config={self._config}", f"--workdir={workdir}"
        together = f"--config.processes.coordinator=localhost:{free_port()}"
        return [
            start(
                "pretrain_worker",
                self.folder / "programs",
                *both,
                *([f"--config.processes.count={count}", together] if count > 1 else []),
                *([f"--config.processes.index={rank}"] if count > 1 else []),
                *flags,
                devices=4 // count,
            )
            for rank in range(count)
        ]

    def to_the_end(self, workdir: Path, count: int, *flags: str) -> list[tuple[str, str]]:
        with ended(self.start(workdir, count, *flags)) as workers:
            told = finish(workers)
        assert [worker.returncode for worker in workers] == [0] * count, told
        return told


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def alone(runs: Runs) -> dict[tuple[int, str], float]:
    """Metrics of an uninterrupted run of one process."""
    runs.to_the_end(runs.folder / "alone", 1)
    return metrics(runs.folder / "alone")


def metrics(workdir: Path) -> dict[tuple[int, str], float]:
    """All numbers by step and name, but speeds."""
    lines = metrics_file.read(workdir / "metrics.jsonl")
    return {
        (line["step"], name): value
        for line in lines
        for name, value in line.items()
        if name.startswith(("train/", "validation/"))
    }


def assert_same(found: dict[Any, float], expected: dict[Any, float]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-5, abs=1e-6), key


def step_written(workdir: Path, step: int, workers: list[subprocess.Popen[str]]) -> None:
    """Waits until the metrics of a step are on the disk."""
    file, until = workdir / "metrics.jsonl", time.monotonic() + LONGEST
    while not (file.exists() and any(step <= line["step"] for line in lines_of(file))):
        assert all(worker.poll() is None for worker in workers), finish(workers)
        assert time.monotonic() < until
        time.sleep(0.02)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if "\n" in line]


def test_two_processes_write_what_one_writes(runs: Runs, alone: dict[Any, float]) -> None:
    workdir = runs.folder / "together"
    (said, _), (other, _) = runs.to_the_end(workdir, 2)
    assert_same(metrics(workdir), alone)
    assert f"step {STEPS}  train/accuracy" in said
    assert "train/accuracy" not in other, "the second process writes nothing"
    names = {path.name for path in workdir.iterdir()}
    assert names == {path.name for path in (runs.folder / "alone").iterdir()}
    assert "model" in names
    assert not [path for path in workdir.rglob("*") if ".partial" in path.name]
    assert len([*(workdir / "tensorboard").iterdir()]) == 1
    ours, expected = (saved_model.load(runs.folder / n / "model") for n in ("together", "alone"))
    assert ours.provenance["step"] == expected.provenance["step"]
    for name, array in expected.weights.items():
        np.testing.assert_allclose(ours.weights[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_sigterm_to_one_saves_all_and_one_process_goes_on(
    runs: Runs, alone: dict[Any, float]
) -> None:
    workdir = runs.folder / "stopped"
    # To validate takes long enough for the signal to come before the end.
    with ended(runs.start(workdir, 2, "--config.loop.validate_every=1")) as workers:
        step_written(workdir, 1, workers)
        workers[1].send_signal(signal.SIGTERM)
        told = finish(workers)
    assert [worker.returncode for worker in workers] == [0, 0], told
    for said, _ in told:
        assert "saved after SIGTERM; run the same command again to go on" in said, told
    saved = max(int(path.name) for path in (workdir / "checkpoints").iterdir())
    assert 1 <= saved < STEPS, "to be interrupted, it must not be done"
    ((said, errors),) = runs.to_the_end(workdir, 1)
    assert f"going on from step {saved} of {STEPS}" in errors
    assert f"step {saved}  train/" not in said
    assert_same({key: value for key, value in metrics(workdir).items() if key in alone}, alone)


def test_a_killed_process_ends_the_other(runs: Runs) -> None:
    workdir = runs.folder / "killed"
    with ended(runs.start(workdir, 2, "--config.processes.timeout=10")) as workers:
        step_written(workdir, 2, workers)
        workers[1].kill()
        killed = time.monotonic()
        _, said = workers[0].communicate(timeout=SLOWEST_END)
        print(f"the other ended after {time.monotonic() - killed:.1f} s")
    assert workers[0].returncode == lost_process.STATUS, said
    assert "process of this run was lost" in said
    assert said.endswith("run the same command again on all to go on from the last checkpoint\n")


def test_the_first_process_takes_the_others_with_it() -> None:
    port = free_port()
    with ended([start("waiting_worker", rank, port, devices=1) for rank in (0, 1)]) as workers:
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "joined\n"
        workers[0].kill()
        _, said = workers[1].communicate(timeout=SLOWEST_END)
    assert workers[1].returncode == lost_process.STATUS, said
    assert said.endswith("run the same command again on all to go on from the last checkpoint\n")
