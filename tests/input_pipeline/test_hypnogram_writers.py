"""Staged nights in four formats: each read by its own program and by ours, no header telling."""

import json
from pathlib import Path

import mne
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, hypnogram_writers
from sleepfm_jax.input_pipeline.hypnogram import epochs, most_likely

STEPS = 6 * 30 + 2  # the last epoch has two
STAGES = ("W", "N1", "N2", "N3", "R", "?")


@pytest.fixture(scope="module")
def steps() -> np.ndarray:
    """(182, 5); the third epoch is not known."""
    steps = np.random.default_rng(0).dirichlet(np.ones(5), STEPS)
    steps[12:18] = np.nan
    return steps


@pytest.fixture(scope="module")
def probabilities(steps: np.ndarray) -> np.ndarray:
    return epochs(steps)  # (31, 5)


@pytest.fixture(scope="module")
def stages(probabilities: np.ndarray) -> np.ndarray:
    found = most_likely(probabilities)
    assert set(found) == {-1, 0, 1, 2, 3, 4}
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, steps: np.ndarray) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("staged") / "sub" / "night"
    written = hypnogram_writers.write(place, steps, {"model": "small"})
    assert sorted(place.parent.iterdir()) == sorted(written)
    return {path.name.removeprefix("night"): path for path in written}


@pytest.mark.parametrize("ending", ["_hypnogram.edf", "_events.tsv", ".annot", "_hypnogram.json"])
def test_we_read_back_what_we_write(
    files: dict[str, Path], stages: np.ndarray, ending: str
) -> None:
    hypnogram = annotations.read_hypnogram(files[ending])
    np.testing.assert_array_equal(hypnogram.steps(STEPS), np.repeat(stages, 6)[:STEPS])
    end = 930 if ending.endswith("json") else 910  # YASA's epochs have one length
    assert hypnogram.stops[-1] == end


def test_mne_reads_the_edf(files: dict[str, Path], stages: np.ndarray) -> None:
    found = mne.read_annotations(files["_hypnogram.edf"])
    assert found.orig_time is None  # else MNE would shift them against the recording
    assert list(found.description) == [f"Sleep stage {STAGES[stage]}" for stage in stages]
    np.testing.assert_array_equal(found.onset, np.arange(31) * 30)
    np.testing.assert_array_equal(found.duration, [30] * 30 + [10])


def test_the_edf_tells_no_date(files: dict[str, Path]) -> None:
    header = files["_hypnogram.edf"].read_bytes()[:256]
    assert header[168:176] == b"01.01.85"
    assert header[88:168].rstrip() == b"Startdate X X X X"
    assert header[192:197] == b"EDF+C"


def test_the_events_hold_probabilities(
    files: dict[str, Path], probabilities: np.ndarray, stages: np.ndarray
) -> None:
    lines = [line.split("\t") for line in files["_events.tsv"].read_text().splitlines()]
    assert lines[0] == ["onset", "duration", "trial_type", "Wake", "N1", "N2", "N3", "REM"]
    assert lines[3] == ["60", "30", "Sleep stage ?", *["n/a"] * 5]
    scored = np.flatnonzero(stages >= 0)
    told = np.array([lines[1 + row][3:] for row in scored], float)
    np.testing.assert_allclose(told, probabilities[scored], atol=5e-7)


def test_the_steps_are_there_too(files: dict[str, Path], steps: np.ndarray) -> None:
    hypnogram = annotations.read_hypnogram(files["_steps.tsv"])
    np.testing.assert_array_equal(hypnogram.steps(STEPS), most_likely(steps))
    np.testing.assert_array_equal(hypnogram.starts, np.arange(STEPS) * 5)
    last = files["_steps.tsv"].read_text().splitlines()[-1].split("\t")
    np.testing.assert_allclose(np.array(last[3:], float), steps[-1], atol=5e-7)


def test_luna_reads_the_annot(files: dict[str, Path], stages: np.ndarray) -> None:
    lines = files[".annot"].read_text().splitlines()
    assert lines[0] == "class\tinstance\tchannel\tstart\tstop\tmeta"
    assert lines[1] == f"{STAGES[stages[0]]}\t.\t.\t0.000\t30.000\t."
    lunapi = pytest.importorskip("lunapi", reason="Luna is not installed: its layout was checked")
    project = lunapi.proj()
    project.silence(True)
    night = project.empty_inst("night", 930, 1)
    night.attach_annot(str(files[".annot"]))
    found = night.stages()["STAGE"]
    assert list(found[:30]) == [STAGES[stage] for stage in stages[:30]]


def test_yasa_reads_the_json(
    files: dict[str, Path], stages: np.ndarray, probabilities: np.ndarray
) -> None:
    told = json.loads(files["_hypnogram.json"].read_text())
    assert {**told, "values": 0, "proba": 0} == {
        "values": 0,
        "n_stages": 5,
        "freq": "30s",
        "start": None,
        "scorer": "SleepFM",
        "proba": 0,
        "made_with": {"model": "small"},
    }
    names = ("WAKE", "N1", "N2", "N3", "REM", "UNS")
    assert told["values"] == [names[stage] for stage in stages]
    table = np.array([told["proba"][name] for name in names])  # (6, K)
    np.testing.assert_allclose(table.sum(axis=0), 1, atol=5e-6)
    np.testing.assert_allclose(table[:5, 3], probabilities[3], atol=5e-7)
    yasa = pytest.importorskip("yasa", reason="YASA is not installed: its layout was checked")
    hypnogram = yasa.Hypnogram.from_json(files["_hypnogram.json"])
    assert list(hypnogram.hypno) == told["values"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match=r"night_hypnogram\.edf cannot be written"):
        hypnogram_writers.write(tmp_path / "out" / "night", np.full((6, 5), 0.2))
