"""Whatever happens to preprocess, no recording is half there and the next run goes on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import edfio
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import nights
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.jobs.preprocess import preprocess, preprocess_night
from sleepfm_jax.jobs.sources import Source
from tests.input_pipeline import edf_files

COMMAND = [sys.executable, "-m", "sleepfm_jax.main", "preprocess"]


@pytest.fixture
def long_night(tmp_path: Path) -> Path:
    """Long enough to be killed in the middle of."""
    path = tmp_path / "long.edf"
    random = np.random.default_rng(0)
    edfio.Edf(
        [
            edfio.EdfSignal(random.standard_normal(256 * 1800), 256, label=label)
            for label in ("C3-M2", "C4-M1", "O1-M2", "O2-M1", "F3-M2", "F4-M1", "ECG", "Chin")
        ]
    ).write(path)
    return path


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.04])
def test_a_killed_run_leaves_no_half_recording_and_the_next_goes_on(
    long_night: Path, tmp_path: Path, delay: float
) -> None:
    output = tmp_path / "out"
    process = subprocess.Popen([*COMMAND, "--output", str(output), str(long_night)])
    deadline = time.monotonic() + 30
    while not list(output.glob(".*.partial")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if (output / "long.hdf5").exists():  # it was faster than the signal
        assert delay > 0
    else:
        assert preprocess([long_night], output).done == 1
    assert len(nights.load(output / "long.hdf5").labels) == 8


def test_a_full_disk_ends_in_one_sentence_a_night(long_night: Path, tmp_path: Path) -> None:
    little_room = """
import resource, signal, sys
from sleepfm_jax.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", little_room, "preprocess", "--workers", "1"]
    small = edf_files.write(tmp_path / "small.edf")
    output = tmp_path / "out"
    done = subprocess.run(
        [*command, "--output", str(output), str(long_night), str(small)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"failed  {output / 'long.hdf5'} cannot be written (File too large)" in done.stdout
    assert "1 done, 0 skipped, 1 failed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert sorted(path.name for path in output.iterdir()) == ["failures.csv", "small.hdf5"]


def test_a_damaged_recording_is_not_taken_for_done(tmp_path: Path) -> None:
    source = edf_files.write(tmp_path / "night.edf")
    output = tmp_path / "out"
    preprocess([source], output)
    target = output / "night.hdf5"
    target.write_bytes(target.read_bytes()[:-100])
    ((_, reason),) = preprocess([source], output).failed
    assert "with --overwrite" in reason
    assert preprocess([source], output, overwrite=True).done == 1
    assert len(preprocess([source], output).skipped) == 1


def test_a_night_that_vanishes_is_one_failure(tmp_path: Path) -> None:
    source = Source(tmp_path / "gone.edf", Path("gone"))
    with pytest.raises(InputError, match="cannot be opened") as caught:
        preprocess_night(source, tmp_path / "out", Montage(), threads=1, overwrite=False)
    assert str(source.path) in str(caught.value)


def test_a_folder_in_the_recording_s_place(tmp_path: Path) -> None:
    source = edf_files.write(tmp_path / "night.edf")
    (tmp_path / "out" / "night.hdf5").mkdir(parents=True)
    for overwrite in (False, True):
        ((_, reason),) = preprocess([source], tmp_path / "out", overwrite=overwrite).failed
        assert str(tmp_path / "out" / "night.hdf5") in reason
    assert (tmp_path / "out" / "night.hdf5").is_dir()


def test_every_unusual_file_is_made_or_refused_with_a_sentence(edge: Path, tmp_path: Path) -> None:
    summary = preprocess([edge], tmp_path, workers=1)
    files = [path for path in edge.iterdir() if path.suffix in (".edf", ".bdf")]
    assert summary.done + len(summary.failed) + len(summary.skipped) == len(files)
    for name, reason in summary.failed:
        assert reason.startswith(name)
        assert ": " in reason.removeprefix(name)
        assert "\n" not in reason
    made = {path.stem for path in tmp_path.glob("*.hdf5")}
    assert {"edfPlusD", "bad_date_with_data", "duplicate_channel_labels"} <= made


def test_an_output_that_cannot_be_made(tmp_path: Path) -> None:
    source = edf_files.write(tmp_path / "night.edf")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file cannot be made a folder \(File exists\)"):
        preprocess([source], tmp_path / "file")
