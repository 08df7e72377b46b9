"""Every task is done or listed with a reason, whatever happens to the others."""

import csv
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.jobs import runner
from sleepfm_jax.jobs.runner import KILLED, Summary


def work(task: str) -> str | None:
    """A task does what its name says."""
    name = Path(task).name
    if name.startswith("skip"):
        return "nothing to do"
    if name.startswith("refuse"):
        raise InputError(f"{name} is bad: leave it out")
    if name.startswith("break"):
        raise ZeroDivisionError("a bug")
    if name.startswith("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("sleep"):
        time.sleep(60)
    return None


TASKS = ["a", "refuse", "skip", "b", "break", "c"]


def check(summary: Summary, output: Path) -> None:
    assert summary.done == 3
    assert summary.skipped == [("skip", "nothing to do")]
    reasons = {"refuse": "refuse is bad: leave it out", "break": "ZeroDivisionError: a bug"}
    assert dict(summary.failed) == reasons
    assert summary.status == 1
    assert summary.counts == "3 done, 1 skipped, 2 failed"
    with (output / "failures.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["file", "reason"]
    assert dict(rows[1:]) == reasons


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_never_stop_the_rest(tmp_path: Path, workers: int) -> None:
    check(runner.run(work, TASKS, tmp_path, workers=workers), tmp_path)


def test_a_cluster_does_the_same(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        check(runner.run(work, TASKS, tmp_path, cluster=cluster.scheduler_address), tmp_path)


def test_no_cluster_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--cluster nowhere://1: no Dask scheduler answers there"):
        runner.run(work, TASKS, tmp_path, cluster="nowhere://1")


@pytest.mark.parametrize(
    ("tasks", "status"),
    [(["a"], 0), (["skip"], 0), (["a", "refuse"], 1), (["skip", "refuse"], 1), (["refuse"], 2)],
)
def test_exit_status(tmp_path: Path, tasks: list[str], status: int) -> None:
    assert runner.run(work, tasks, tmp_path).status == status


def test_failures_csv_tells_of_the_last_run(tmp_path: Path) -> None:
    runner.run(work, ["refuse, too"], tmp_path)
    assert "refuse, too" in (tmp_path / "failures.csv").read_text()
    runner.run(work, ["a"], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_tracebacks_are_for_the_debug_log(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    workers: int,
) -> None:
    with caplog.at_level(logging.INFO, logger="sleepfm_jax"):
        runner.run(work, ["break"], tmp_path, workers=workers)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    with caplog.at_level(logging.DEBUG, logger="sleepfm_jax"):
        runner.run(work, ["break"], tmp_path, workers=workers)
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_killed_process_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    summary = runner.run(work, ["a", "die 1", "b", "c", "die 2", "refuse"], tmp_path, workers=2)
    assert summary.done == 3
    assert dict(summary.failed) == {
        "die 1": KILLED,
        "die 2": KILLED,
        "refuse": "refuse is bad: leave it out",
    }


INTERRUPTED = """
import sys
from pathlib import Path
from sleepfm_jax import atomic
from sleepfm_jax.errors import InputError
from sleepfm_jax.jobs import runner

def slow(task):
    import time
    if task == 0:
        raise InputError("bad")
    with atomic.replacing(Path(sys.argv[1]) / f"{task}.out") as temporary:
        temporary.write_text("half")
        time.sleep(60)

if __name__ == "__main__":
    runner.run(slow, [0, 1, 2, 3], Path(sys.argv[1]), workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_all_at_once_and_leaves_no_half_file(tmp_path: Path, workers: int) -> None:
    (tmp_path / "program.py").write_text(INTERRUPTED)
    output = tmp_path / "output"
    output.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(output), str(workers)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group, as in a terminal
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    deadline = time.monotonic() + 30
    while len(list(output.glob(".*.partial"))) < workers:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1  # that of the program, none of a worker
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert [entry.name for entry in output.iterdir()] == ["failures.csv"]
    while _lives(process.pid):  # the last to go is the interpreter's own resource tracker
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
