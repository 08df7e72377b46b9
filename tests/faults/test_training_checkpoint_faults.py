"""Whatever happens to a run's checkpoints, a whole one is found and damage is never loaded."""

import contextlib
import json
import logging
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.train.checkpoint_record import FILE
from sleepfm_jax.train.checkpoints import Checkpoints
from tests.train.small_state import abstract, same, state

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of steps 1 (the best), 2 and 3; a test works on a copy of them."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(1, state(1), {"n": 1}, {"loss": 1.0})
        checkpoints.save(2, state(2), {"n": 2}, {"loss": 2.0})
        checkpoints.save(3, state(3), {"n": 3}, {"loss": 3.0})
    return folder


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "checkpoints")


def files(step: Path) -> list[Path]:
    return sorted(path for path in step.rglob("*") if path.is_file())


def restored_step(folder: Path) -> int:
    """Of the checkpoint that is found, which must be as it was written."""
    with Checkpoints(folder) as checkpoints:
        restored = checkpoints.restore(abstract(8))
    assert restored is not None
    assert same(restored.state, state(restored.step))
    assert restored.position == {"n": restored.step}
    return restored.step


@contextlib.contextmanager
def warnings() -> Iterator[list[str]]:
    """What the package warns of."""
    found: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda entry: found.append(entry.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sleepfm_jax")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32), how=st.sampled_from(["flip", "flip", "truncate", "remove"]))
def test_damage_is_never_loaded(run: Path, seed: int, how: str) -> None:
    """The newest step is put aside or was not touched where it counts; step 2 is there still."""
    draw = random.Random(seed)
    folder = run.with_name(f"copy-{seed}-{how}")
    shutil.copytree(run, folder, dirs_exist_ok=True)
    path = draw.choice(files(folder / "3"))
    size = path.stat().st_size
    if how == "remove":
        path.unlink()
    elif how == "truncate":
        os.truncate(path, draw.randrange(max(size, 1)))
    elif size:
        flip(path, draw.randrange(size), draw.randrange(8))
    with warnings() as said:
        step = restored_step(folder)
    fallen_back = step == 2
    assert fallen_back or step == 3
    assert len(said) == fallen_back
    assert (folder / "damaged-3").exists() == fallen_back
    assert (folder / "3").exists() != fallen_back
    shutil.rmtree(folder)


def cut_record(step: Path) -> None:
    record = step / "record" / FILE
    record.write_bytes(record.read_bytes()[:-9])


def change_position(step: Path) -> None:
    record = step / "record" / FILE
    record.write_text(record.read_text().replace('{"n": 3}', '{"n": 4}'))


def cut_arrays(step: Path) -> None:
    for path in (step / "state").rglob("d/*"):
        os.truncate(path, path.stat().st_size // 2)


def lose_arrays(step: Path) -> None:
    shutil.rmtree(step / "state")


def lose_all(step: Path) -> None:
    for path in files(step):
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (cut_record, "record.json cannot be read"),
        (change_position, "record.json has been changed"),
        (cut_arrays, "its arrays cannot be read"),
        (lose_arrays, "its arrays cannot be read"),
        (lose_all, "record.json is missing"),
    ],
)
def test_the_warning_names_step_fault_and_what_is_used(
    folder: Path, damage: Callable[[Path], None], fault: str
) -> None:
    damage(folder / "3")
    with warnings() as said:
        assert restored_step(folder) == 2
    (warning,) = said
    assert warning.startswith(f"{folder}: the checkpoint of step 3 is damaged ({fault}")
    assert warning.endswith("renamed to damaged-3, and that of step 2 is used")
    assert "\n" not in warning


def test_a_flipped_bit_that_orbax_does_not_see(folder: Path) -> None:
    """A bit of an array's record that restores to another number: only the hash tells."""
    other = folder.with_name("other")
    with Checkpoints(other) as checkpoints:
        checkpoints.save(3, state(4), {"n": 3}, {"loss": 3.0})
    shutil.rmtree(folder / "3" / "state")
    shutil.copytree(other / "3" / "state", folder / "3" / "state")  # whole, but not this one's
    with warnings() as said:
        assert restored_step(folder) == 2
    assert re.search(r"the content of \S+ has changed since it was written", said[0])


def test_a_damaged_steps_number_can_be_written_again(folder: Path) -> None:
    for name in ("damaged-3", "damaged-3-2"):
        cut_arrays(folder / "3")
        with warnings() as said, Checkpoints(folder) as checkpoints:
            restored = checkpoints.restore(abstract(8))
            assert restored is not None
            assert restored.step == 2
            assert checkpoints.steps == [1, 2]
            checkpoints.save(3, state(3), {"n": 3})
        assert f"renamed to {name}, and" in said[0]
        assert (folder / name / "record" / FILE).exists()  # nothing is deleted
        assert restored_step(folder) == 3
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.best() == 1


def test_two_damaged_steps_are_both_passed(folder: Path) -> None:
    cut_arrays(folder / "3")
    cut_record(folder / "2")
    with warnings() as said:
        assert restored_step(folder) == 1
    assert len(said) == 2


def test_where_all_are_damaged_nothing_is_moved(folder: Path) -> None:
    """The same command again must not start from nothing without a word."""
    for step in "123":
        cut_record(folder / step)
    for _ in range(2):
        with (
            Checkpoints(folder) as checkpoints,
            pytest.raises(
                InputError, match=r"step 3: record.json cannot be read.*step 1"
            ) as caught,
        ):
            checkpoints.restore(abstract(8))
        assert "; copy the folder back from where it is whole, or start anew" in str(caught.value)
    assert {"1", "2", "3"} <= {path.name for path in folder.iterdir()}


def test_a_record_of_a_newer_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleepfm_jax.train.checkpoint_record.FORMAT", 2)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(4, state(4), {"n": 4})
    assert json.loads((folder / "4" / "record" / FILE).read_text())["content"]["format"] == 2
    monkeypatch.undo()
    with (
        Checkpoints(folder) as checkpoints,
        pytest.raises(InputError, match="checkpoint format 2, this version reads 1; update"),
    ):
        checkpoints.restore(abstract(8))


@contextlib.contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file can grow past `room` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def save_two(checkpoints: Checkpoints) -> None:
    checkpoints.save(4, state(4), {"n": 4})
    checkpoints.save(5, state(5), {"n": 5})


@pytest.mark.parametrize("room", [0, 700, 2000])
def test_a_full_disk_is_said_at_the_next_save_and_loses_nothing(
    folder: Path, room: int, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoints = Checkpoints(folder)
    with full_disk(room), pytest.raises(InputError) as caught:
        save_two(checkpoints)
    sentence = str(caught.value)
    assert sentence.startswith(f"{folder}: a checkpoint cannot be written (")
    assert "free some space" in sentence
    assert "\n" not in sentence
    assert "Traceback" not in capfd.readouterr().err
    checkpoints.close()  # says it once
    assert restored_step(folder) == 3
    with Checkpoints(folder) as after:
        after.save(4, state(4), {"n": 4})
    assert restored_step(folder) == 4


def save_and_leave(folder: Path, error: type[Exception] | None = None) -> None:
    with full_disk(700), Checkpoints(folder) as checkpoints:
        checkpoints.save(4, state(4), {"n": 4})
        if error:
            raise error


def test_a_failed_last_save_is_said_at_the_end(folder: Path) -> None:
    with pytest.raises(InputError, match="a checkpoint cannot be written"):
        save_and_leave(folder)


def test_the_first_error_is_not_hidden_by_a_failed_save(folder: Path) -> None:
    with warnings() as said, pytest.raises(ZeroDivisionError):
        save_and_leave(folder, ZeroDivisionError)
    assert "the last save failed too" in said[-1]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Checkpoints(tmp_path / "file" / "checkpoints")


SAVING = """
    import sys
    sys.path.insert(0, "tests")
    import conftest
    from sleepfm_jax.train.checkpoints import Checkpoints
    from tests.train.small_state import state
    with Checkpoints(sys.argv[1]) as checkpoints:
        for step in range(1, 10_000):
            checkpoints.save(step, state(step), {"n": step})
"""


def test_a_run_killed_while_saving_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SAVING), str(folder)], cwd=ROOT)
    try:
        seen = wait_for(folder, lambda steps: len(steps) >= 2)
        time.sleep(random.Random().uniform(0, 0.3))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert restored_step(folder) >= max(seen)
    assert all(path.name.isdigit() for path in folder.iterdir())  # nothing unfinished is left


def wait_for(folder: Path, enough: Callable[[list[int]], bool]) -> list[int]:
    """The finished steps, once there are enough of them."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
        steps = [int(name) for name in names if name.isdigit()]
        if enough(steps):
            return steps
        time.sleep(0.005)
    raise AssertionError("no checkpoint was written within a minute")
