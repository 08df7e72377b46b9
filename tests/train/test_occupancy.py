"""A work directory belongs to one run at a time, and to none once that has ended."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.train.occupancy import occupied

HOLD = """
import sys, time
from pathlib import Path
from sleepfm_jax.train.occupancy import occupied
with occupied(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def enter(workdir: Path) -> None:
    with occupied(workdir):
        pass


def test_a_second_run_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    workdir = tmp_path / "runs" / "new"
    with occupied(workdir), pytest.raises(InputError, match="is being used by another run: wait"):
        enter(workdir)
    enter(workdir)


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="is being used by another run"):
            enter(tmp_path)
        process.kill()
        process.wait()
    enter(tmp_path)


def test_what_a_killed_run_left_half_done_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".model.12.partial" / "weights").mkdir(parents=True)
    (tmp_path / ".metrics.jsonl.345.partial").write_text("half")
    (tmp_path / ".notes.partial").write_text("mine")
    (tmp_path / "model.12.partial").write_text("mine too")
    enter(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".lock",
        ".notes.partial",
        "model.12.partial",
    }


@pytest.mark.parametrize("there", [True, False])
def test_a_model_that_was_moved_aside_is_put_back(tmp_path: Path, there: bool) -> None:
    """Only where the new one did not come to stand in its place."""
    (tmp_path / ".model.12.replaced").mkdir()
    (tmp_path / ".model.12.replaced" / "config.json").write_text("old")
    if there:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text("new")
    enter(tmp_path)
    assert (tmp_path / "model" / "config.json").read_text() == ("new" if there else "old")
    assert not (tmp_path / ".model.12.replaced").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written to \(Not a directory\): give another"):
        enter(tmp_path / "file" / "run")


def test_a_file_system_without_locks_is_said_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuses)
    with caplog.at_level(logging.WARNING):
        enter(tmp_path)
    assert f"{tmp_path}: this file system has no locks (No locks available)" in caplog.text
