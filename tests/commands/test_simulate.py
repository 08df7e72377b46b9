"""`sleepfm-jax simulate`: the whole folder, resumed, extended, over processes, and refused."""

from pathlib import Path

import pytest

from sleepfm_jax.main import main


def simulate(output: Path, *flags: str) -> int:
    return main(["simulate", "--hours", "0.05", "--seed", "9", "--output", str(output), *flags])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def three_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulate") / "three"
    assert simulate(folder, "--nights", "3", "--workers", "1") == 0
    return folder


def test_a_cohort_has_its_files(three_nights: Path) -> None:
    names = [f"sim9-000{night}" for night in range(3)]
    tables = ["demographics", "is_event", "label_mapping", "time_to_event", "truth"]
    assert set(contents(three_nights)) == {
        *(f"edf/{name}.edf" for name in names),
        *(f"stages/{name}.csv" for name in names),
        *(f"{table}.csv" for table in tables),
        "simulation.json",
    }


def test_processes_change_no_byte(three_nights: Path, tmp_path: Path) -> None:
    assert simulate(tmp_path, "--nights", "3", "--workers", "2") == 0
    assert contents(tmp_path) == contents(three_nights)


def test_a_cohort_grows_and_keeps_what_it_has(
    three_nights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path, "--nights", "1", "--workers", "1") == 0
    kept = tmp_path / "edf" / "sim9-0000.edf"
    before = kept.stat().st_mtime_ns
    assert simulate(tmp_path, "--nights", "3", "--workers", "1") == 0
    assert kept.stat().st_mtime_ns == before
    assert contents(tmp_path) == contents(three_nights)
    assert "2 done, 1 skipped, 0 failed" in capsys.readouterr().out


def test_an_interrupted_night_is_made_again(three_nights: Path, tmp_path: Path) -> None:
    assert simulate(tmp_path, "--nights", "3", "--workers", "1") == 0
    (tmp_path / "edf" / "sim9-0001.edf").unlink()  # stages are written first, the EDF last
    assert simulate(tmp_path, "--nights", "3", "--workers", "1") == 0
    assert contents(tmp_path) == contents(three_nights)


def test_a_night_that_fails_is_listed_and_the_others_are_made(tmp_path: Path) -> None:
    (tmp_path / "edf" / "sim9-0001.edf" / "in_the_way").mkdir(parents=True)
    assert simulate(tmp_path, "--nights", "3", "--workers", "1") == 1
    assert "sim9-0001" in (tmp_path / "failures.csv").read_text()
    assert (tmp_path / "edf" / "sim9-0002.edf").is_file()


def test_one_montage_for_all(tmp_path: Path) -> None:
    assert simulate(tmp_path, "--nights", "2", "--montage", "home", "--workers", "1") == 0
    for path in (tmp_path / "edf").iterdir():
        assert b"EEG(sec)" in path.read_bytes()[256:512]


def test_other_settings_are_refused_in_one_sentence(
    three_nights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(three_nights)
    flags = ["--nights", "3", "--hours", "0.1", "--seed", "9", "--output", str(three_nights)]
    assert main(["simulate", *flags]) == 2
    message = capsys.readouterr().err.strip()
    assert "simulation.json" in message
    assert '"hours": 0.05' in message
    assert "another --output" in message
    assert "\n" not in message
    assert contents(three_nights) == before


def test_records_of_the_challenge_are_written_resumed_and_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--nights", "2", "--workers", "1", "--format", "cinc2018"]
    assert simulate(tmp_path, *flags) == 0
    whole = contents(tmp_path)
    parts = {
        f"cinc2018/sim9-000{n}{end}" for n in (0, 1) for end in ("-arousal.mat", ".mat", ".hea")
    }
    assert {name for name in whole if "/" in name} == parts
    assert {"demographics.csv", "is_event.csv", "truth.csv", "simulation.json"} <= set(whole)
    (tmp_path / "cinc2018" / "sim9-0001.hea").unlink()  # written last
    assert simulate(tmp_path, *flags) == 0
    assert "1 done, 1 skipped, 0 failed" in capsys.readouterr().out
    assert contents(tmp_path) == whole
    assert main(["inspect", str(tmp_path / "cinc2018" / "sim9-0000.hea")]) == 0
    assert "used: 13 of 13 channels; no modality is missing" in capsys.readouterr().out
    assert simulate(tmp_path, *flags[:-2]) == 2, "the folder holds records, not EDFs"
    assert '"format": "cinc2018"' in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[1]", '{"seed": 9', '"x"'])
def test_broken_settings_are_refused_in_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "simulation.json").write_text(text)
    assert simulate(tmp_path, "--nights", "1") == 2
    assert "simulation.json" in capsys.readouterr().err


def test_a_file_in_the_way_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cohort").write_text("not a folder")
    assert simulate(tmp_path / "cohort", "--nights", "1") == 2
    message = capsys.readouterr().err.strip()
    assert str(tmp_path / "cohort") in message
    assert "another --output" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "flags",
    [
        ["--nights", "0"],
        ["--nights", "x"],
        ["--hours", "0"],
        ["--hours", "nan"],
        ["--hours", "25"],
        ["--seed", "-1"],
        ["--montage", "moon"],
        ["--format", "tape"],
        ["--format", "cinc2018", "--montage", "home"],
    ],
)
def test_impossible_wishes_are_refused(flags: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        simulate(tmp_path / "never", *flags)
    assert stop.value.code == 2
    assert not (tmp_path / "never").exists()


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["simulate", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("--nights", "--hours", "--montage", "--format", "truth.csv", "example"):
        assert word in text
