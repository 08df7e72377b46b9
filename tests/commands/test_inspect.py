"""`sleepfm-jax inspect` on real files: what they hold, what it is taken for, what is unreadable."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sleepfm_jax import main
from sleepfm_jax.commands import inspect
from sleepfm_jax.input_pipeline import nights, recordings
from sleepfm_jax.input_pipeline.inspection import SAYS_THE_FILE, ChannelFound, Inspection
from sleepfm_jax.input_pipeline.modality import Modality
from tests.input_pipeline import edf_files


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main.main(["inspect", *map(str, arguments)])
    output = capsys.readouterr()
    return status, output.out, output.err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    status, out, _ = run(capsys, "--json", *arguments)
    assert status == 0
    return json.loads(out)


def taken_for(found: dict[str, Any]) -> dict[str, str | None]:
    return {channel["label"]: channel["modality"] for channel in found["channels"]}


def test_every_channel_of_a_real_night(psg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = as_json(capsys, psg / "dreams_excerpt3" / "excerpt3.edf")
    assert found["format"] == "EDF"
    assert found["duration_seconds"] == 1800.0
    assert found["gaps_seconds"] == []
    assert found["missing"] == []
    modality = taken_for(found)
    assert {modality[label] for label in ("VTH", "VAB", "NAF1")} == {"RESP"}
    scoring = ("hypnogram", "hypnogram_aut", "event_pneumo", "event_pneumo_aut", "event_neuro")
    assert {modality[label] for label in scoring} == {None}
    assert {modality[label] for label in ("O1-A1", "C3-A1", "FP1-A1", "EOG1-A1")} == {"BAS"}
    assert (modality["ECG"], modality["EMG1"], modality["POS"]) == ("EKG", "EMG", None)
    used = {channel["label"] for channel in found["channels"] if channel["used"]}
    assert {"VTH", "VAB", "NAF1"} <= used
    assert not used & {*scoring, "POS"}
    eeg = found["channels"][0]
    assert (eeg["rate_hz"], eeg["unit"], eeg["site"], eeg["reference"]) == (50, "UV", "O1", "A1")
    assert all(channel["why"] and channel["taken_for"] for channel in found["channels"])


def test_says_which_modalities_have_no_channel(
    psg: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = as_json(capsys, psg / "cap_brux2_crop" / "sample.edf")
    assert found["missing"] == ["RESP", "EKG", "EMG"]
    _, out, _ = run(capsys, psg / "cap_brux2_crop" / "sample.edf")
    assert "used: 5 of 5 channels; missing: no channel of RESP, EKG, EMG is used" in out


def test_gaps(edge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = as_json(capsys, edge / "edfPlusD.edf")
    assert found["gaps_seconds"] == [[1, 2], [3, 4], [10, 12], [13, 15], [16, 19]]
    _, out, _ = run(capsys, edge / "edfPlusD.edf")
    assert "EDF+D, 20 s, 5 gaps of 9 s in all (0:00:01 to 0:00:02, " in out
    assert inspect._gaps(((61.0, 62.5),)) == (
        "1 gap of 1.5 s in all (0:01:01 to 0:01:02.5 after the start)"
    )
    many = tuple((float(i), i + 0.5) for i in range(1, 8))
    assert inspect._gaps(many).endswith("0:00:05 to 0:00:05.5, … after the start)")


@pytest.mark.parametrize(
    "montage",
    [
        [],
        ["--channel", "SAO2=none", "--channel", "POS=RESP"],
        ["--channel-groups", "groups.json"],
    ],
)
def test_used_is_what_a_night_consists_of(
    psg: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    montage: list[str],
) -> None:
    """Of an EDF, of the same night preprocessed, and of bare datasets under its labels."""
    monkeypatch.chdir(tmp_path)
    Path("groups.json").write_text('{"BAS": ["C3-A1", "EOG1-A1"], "EMG": ["EMG1"]}')
    source = psg / "dreams_excerpt3" / "excerpt3.edf"
    preprocessed, bare = tmp_path / "night.hdf5", tmp_path / "bare.h5"
    with nights.convert(source) as night:
        recordings.write(preprocessed, night, night.provenance)
    with h5py.File(bare, "w") as file:
        for label in ("C3-A1", "C3", "EMG1", "SAO2", "POS"):
            file[label] = np.random.default_rng(0).normal(size=128 * 300).astype(np.float16)
    rules = inspect.channel_flags.read(inspect._parser().parse_args([*montage, "file"]))
    for path in (source, preprocessed, bare):
        (found,) = as_json(capsys, *montage, path)
        loaded = nights.load(path, rules)
        used = {c["label"]: c["modality"] for c in found["channels"] if c["used"]}
        expected = [Modality(tag).name for tag in loaded.modality.tolist()]
        assert used == dict(zip(loaded.labels, expected, strict=True))
        assert ("SAO2" in used) == (not montage)


def test_preprocessed_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = edf_files.write(tmp_path / "night.edf")
    path = tmp_path / "night.hdf5"
    with nights.convert(source) as night:
        recordings.write(path, night, night.provenance)
    (found,) = as_json(capsys, path)
    assert found["format"] == "HDF5"
    assert found["duration_seconds"] == 12.0
    assert found["gaps_seconds"] is None
    assert taken_for(found) == {"C3-M2": "BAS", "Airflow": "RESP"}
    assert {channel["rate_hz"] for channel in found["channels"]} == {128}
    assert found["missing"] == ["EKG", "EMG"]
    assert {channel["why"] for channel in found["channels"]} == {SAYS_THE_FILE}
    (found,) = as_json(capsys, "--channel", "Airflow=EMG", path)
    assert [c["why"] for c in found["channels"]] == [SAYS_THE_FILE, "you named it EMG"]


def test_user_knows_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    edf_files.set_signal(path, 1, "label", "Foo")
    (found,) = as_json(capsys, path)
    assert taken_for(found) == {"C3-M2": "BAS", "Foo": None}
    (found,) = as_json(capsys, "--channel", "Foo=EMG", path)
    assert taken_for(found) == {"C3-M2": "BAS", "Foo": "EMG"}
    assert found["missing"] == ["RESP", "EKG"]
    groups = tmp_path / "groups.json"
    groups.write_text('{"RESP": ["Foo"]}')
    (found,) = as_json(capsys, "--channel-groups", groups, path)
    assert [channel["used"] for channel in found["channels"]] == [False, True]
    assert found["missing"] == ["BAS", "EKG", "EMG"]


def test_failures_are_told_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, empty = edf_files.write(tmp_path / "good.edf"), tmp_path / "empty.edf"
    empty.touch()
    broken = tmp_path / "broken.hdf5"
    broken.write_text("no HDF5")
    status, out, err = run(capsys, empty, good, broken)
    assert status == 1
    assert err.count("\n") == 2
    assert f"inspect: {empty} is empty (0 bytes)" in err
    assert str(broken) in err
    assert f"{good}: EDF+C, 12 s, no gaps" in out
    status, out, err = run(capsys, empty, broken)
    assert (status, out) == (2, "")
    status, out, _ = run(capsys, "--json", empty, good)
    assert status == 1
    failed, found = json.loads(out)
    assert failed["file"] == str(empty)
    assert failed["error"].startswith(f"{empty} is empty")
    assert taken_for(found) == {"C3-M2": "BAS", "Airflow": "RESP"}


def test_wrong_flags_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    for flags in (["--channel", "Foo=LEG"], ["--channel-groups", str(tmp_path / "absent.json")]):
        status, out, err = run(capsys, *flags, path)
        assert (status, out) == (2, "")
        assert err.startswith("sleepfm-jax inspect: ")
        assert err.count("\n") == 1


def test_nothing_personal_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    shown = run(capsys, path)[1] + run(capsys, "--json", path)[1]
    for secret in ("CODE77", "Jane", "Doe", "1957", "2003", "Somnoscope9", "23:27"):
        assert secret not in shown


def test_annotations_alone(psg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted((psg.parent / "annotations" / "sleepedf_hypnograms").glob("*.edf"))
    if not files:
        pytest.skip("the hypnograms (../shared/data/annotations) are not on this machine")
    status, out, _ = run(capsys, files[0])
    assert status == 0
    assert "note: the file holds annotations only" in out


def channel(label: str, why: str) -> ChannelFound:
    return ChannelFound(label, 128.0, "uV", Modality.BAS, "C3", None, why, True, why)


def test_table_is_aligned_and_fits_the_terminal() -> None:
    found = (channel("C3-M2", "because it is " + "so " * 40), channel("a longer label", "short"))
    inspection = Inspection(Path("night.edf"), "EDF", 5415.5, (), found)
    lines = inspect._text(inspection, 100).splitlines()
    assert lines[0] == "night.edf: EDF, 1 h 30 min 15.5 s, no gaps"
    head, rows = lines[2], lines[3:-2]
    assert head.split() == list(inspect.COLUMNS)
    assert max(map(len, lines)) <= 100
    assert len(rows) > 3
    place = head.index("why")
    assert {row[place] for row in rows} == {"b", "s"}
    assert all(row[: place - 1].isspace() for row in rows[1:-1])
    wide = inspect._text(inspection, None).splitlines()
    assert len(wide) == 7
    assert wide[3].endswith("so so so")


@pytest.mark.parametrize(
    ("seconds", "span", "clock"),
    [
        (0, "0 s", "0:00:00"),
        (59.9996, "1 min", "0:01:00"),
        (12.5, "12.5 s", "0:00:12.5"),
        (3605, "1 h 5 s", "1:00:05"),
        (36000, "10 h", "10:00:00"),
    ],
)
def test_times_in_words(seconds: float, span: str, clock: str) -> None:
    assert inspect._span(seconds) == span
    assert inspect._clock(seconds) == clock


def test_starts_fast_and_without_jax_or_mne(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    script = (
        "import sys; from sleepfm_jax.main import main\n"
        f"assert main(['inspect', {str(path)!r}]) == 0\n"
        "assert not {'jax', 'flax', 'mne', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
