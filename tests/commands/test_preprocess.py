"""`sleepfm-jax preprocess` says what it did and what to do about the rest."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from sleepfm_jax.input_pipeline import recordings
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.main import main
from tests.input_pipeline import edf_files


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], str]:
    status = main(["preprocess", *map(str, arguments)])
    output, errors = capsys.readouterr()
    return status, output.splitlines(), errors


def test_done_skipped_failed(
    tmp_path: Path, edge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    edf_files.write(folder / "good.edf")
    annotations = edge.parent / "annotations" / "sleepedf_hypnograms" / "SC4001EC-Hypnogram.edf"
    (folder / "hypnogram.edf").write_bytes(annotations.read_bytes())
    (folder / "empty.edf").touch()
    status, lines, errors = run(capsys, "--output", output, folder)
    assert status == 1
    assert lines[0] == f"skipped {folder / 'hypnogram.edf'}: annotations only"
    assert lines[1].startswith(f"failed  {folder / 'empty.edf'} is empty (0 bytes)")
    assert lines[2].startswith(f"{output}: 1 done, 1 skipped, 1 failed, ")
    assert lines[3] == f"what failed is listed in {output / 'failures.csv'}"
    assert errors == ""
    with (output / "failures.csv").open(newline="") as file:
        ((path, reason),) = list(csv.reader(file))[1:]
    assert path == str(folder / "empty.edf")
    assert "is empty (0 bytes)" in reason

    (folder / "empty.edf").unlink()
    status, lines, _ = run(capsys, "--output", output, folder)
    assert status == 0
    assert lines[-1].startswith(f"{output}: 0 done, 2 skipped, 0 failed, ")
    assert sorted(path.name for path in output.iterdir()) == ["good.hdf5"]


def test_channels_are_what_the_user_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = edf_files.write(tmp_path / "night.edf")
    groups = tmp_path / "groups.json"
    groups.write_text('{"RESP": ["C3-M2"], "BAS": []}')
    flags = ["--output", tmp_path / "out", "--channel-groups", groups, "--channel", "Airflow=EKG"]
    assert run(capsys, *flags, source)[0] == 0
    with recordings.open_recording(tmp_path / "out" / "night.hdf5") as recording:
        assert recording.modalities == {"C3-M2": Modality.RESP, "Airflow": Modality.EKG}


def test_overwrite_and_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [edf_files.write(tmp_path / f"{name}.edf") for name in "ab"]
    for flags, done in (([], 2), ([], 0), (["--overwrite"], 2)):
        _, lines, _ = run(capsys, "--output", tmp_path / "out", "--workers", 2, *flags, *sources)
        assert f": {done} done, {2 - done} skipped, 0 failed" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent.edf"], "absent.edf does not exist: check the name"),
        (["--channel", "C3", "."], "write LABEL=MODALITY"),
        (["--channel-groups", "absent.json", "."], "absent.json"),
    ],
)
def test_wrong_use_ends_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, lines, errors = run(capsys, "--output", "out", *arguments)
    assert status == 2
    assert not lines
    assert errors.startswith("sleepfm-jax preprocess: ")
    assert sentence in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_workers_are_counted(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(capsys, "--output", "out", "--workers", count, "x.edf")
    assert "is not a whole number from 1 up" in capsys.readouterr().err


def test_all_failed_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.edf").touch()
    assert run(capsys, "--output", tmp_path / "out", tmp_path / "empty.edf")[0] == 2


def test_help_teaches() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sleepfm_jax.main", "preprocess", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for piece in ("examples:", "failures.csv", "--workers N", "--channel LABEL=MODALITY"):
        assert piece in done.stdout
