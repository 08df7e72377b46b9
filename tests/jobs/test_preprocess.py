"""Nights become recordings once, each under its own name, with nothing personal in them."""

import os
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import nights, recordings
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.jobs.preprocess import default_workers, preprocess
from tests.input_pipeline import edf_files


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return edf_files.write(tmp_path / "in" / "night.edf")


def stamp(path: Path) -> int:
    return path.stat().st_ino  # a file that was written anew is another file


def test_recordings_hold_the_nights(psg: Path, tmp_path: Path) -> None:
    files = ["dreams_excerpt3/excerpt3.edf", "sleep_edf_short/short_psg.bdf"]
    summary = preprocess([psg / file for file in files], tmp_path, workers=2)
    assert (summary.done, summary.skipped, summary.failed) == (2, [], [])
    for file in files:
        stored = nights.load(tmp_path / f"{Path(file).stem}.hdf5")
        direct = nights.load(psg / file)
        assert stored.labels == direct.labels
        np.testing.assert_array_equal(stored.signals, direct.signals)


def test_what_is_done_is_not_done_again(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    target = output / "night.hdf5"
    assert preprocess([source], output).done == 1
    first = stamp(target)
    summary = preprocess([source], output)
    assert summary.skipped == [(str(source), "done before")]
    os.utime(source, (0, 0))  # touched, copied: still the same night
    assert len(preprocess([source], output).skipped) == 1
    moved = tmp_path / "elsewhere" / "night.edf"
    moved.parent.mkdir()
    source.rename(moved)
    assert len(preprocess([moved], output).skipped) == 1
    assert stamp(target) == first


def test_changes_are_noticed(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    target = output / "night.hdf5"

    def labels() -> tuple[str, ...]:
        with recordings.open_recording(target) as recording:
            return recording.labels

    preprocess([source], output)
    assert labels() == ("C3-M2", "Airflow")
    without = Montage(named={"Airflow": None})
    assert preprocess([source], output, without).done == 1
    assert labels() == ("C3-M2",)
    assert preprocess([source], output, without).done == 0
    assert preprocess([source], output).done == 1
    edf_files.set_signal(source, 0, "label", "C4-M1")
    assert preprocess([source], output).done == 1
    assert labels() == ("C4-M1", "Airflow")
    assert preprocess([source], output).done == 0
    before = stamp(target)
    assert preprocess([source], output, overwrite=True).done == 1
    assert stamp(target) != before


def test_folders_are_searched_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in (
        "a/night.edf",
        "b/night.EDF",
        "b/c/n.1.Edf",
        "top.edf",
        ".trash/x.edf",
        "b/._n.edf",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        edf_files.write(folder / name)
    (folder / "notes.txt").touch()
    (folder / "folder.edf").mkdir()
    (folder / "linked.edf").symlink_to(folder / "top.edf")
    summary = preprocess([folder, folder / "top.edf"], tmp_path / "out")
    assert (summary.done, summary.failed) == (5, [])
    assert {str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/**/*.hdf5")} == {
        "a/night.hdf5",
        "b/night.hdf5",
        "b/c/n.1.hdf5",
        "top.hdf5",
        "linked.hdf5",
    }


def test_equal_names_never_meet(tmp_path: Path) -> None:
    sources = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        sources.append(edf_files.write(tmp_path / name / "night.edf"))
    edf_files.set_signal(sources[1], 0, "label", "C4-M1")
    output = tmp_path / "out"
    summary = preprocess(sources, output, workers=2)  # in one run
    assert summary.done == 1
    ((name, reason),) = summary.failed
    assert name == str(sources[1])
    assert f"{sources[1]} would take the name night, which {sources[0]} has" in reason
    ((name, reason),) = preprocess([sources[1]], output).failed  # in a later one
    assert "was made from another file named night.edf" in reason
    with recordings.open_recording(output / "night.hdf5") as recording:
        assert recording.labels[0] == "C3-M2"


def test_one_night_given_twice_is_one(source: Path, tmp_path: Path) -> None:
    summary = preprocess([source, source.parent, source], tmp_path / "out")
    assert (summary.done, summary.skipped, summary.failed) == (1, [], [])


def test_files_that_are_not_ours_are_not_overwritten(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "night.hdf5"
    target.parent.mkdir()
    with h5py.File(target, "w") as file:
        file["C3"] = np.zeros(1000, np.float16)
    ((_, reason),) = preprocess([source], target.parent).failed
    assert "was not made by preprocess" in reason
    with h5py.File(target) as file:
        assert list(file) == ["C3"]
    assert preprocess([source], target.parent, overwrite=True).done == 1


def test_annotations_alone_are_passed_over(psg: Path, tmp_path: Path) -> None:
    folder = psg.parent / "annotations" / "sleepedf_hypnograms"
    summary = preprocess([folder], tmp_path)
    assert {reason for _, reason in summary.skipped} == {"annotations only"}
    assert (len(summary.skipped), summary.status) == (2, 0)


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent does not exist"):
        preprocess([tmp_path / "absent"], tmp_path / "out")
    with pytest.raises(InputError, match=r"no \.edf, \.bdf or \.hea file under"):
        preprocess([tmp_path], tmp_path / "out")


def test_nothing_personal_and_no_date_comes_out(source: Path, tmp_path: Path) -> None:
    person = source.parent / "Smith_John_19570328.edf.d"
    person.mkdir()
    source = source.rename(person / "night.edf")
    preprocess([source], tmp_path / "one")
    os.utime(source, (1e9, 1e9))
    target = tmp_path / "one" / "night.hdf5"
    content = target.read_bytes()
    for secret in (b"CODE77", b"Jane", b"Doe", b"1957", b"2003", b"Somnoscope9", b"Smith"):
        assert secret not in content
    with recordings.open_recording(target) as recording:
        assert recording.provenance["source"] == "night.edf"
        text = " ".join(map(str, recording.provenance.values()))
    assert str(tmp_path) not in text
    assert time.strftime("%Y") not in text


def test_the_same_night_makes_the_same_bytes(source: Path, tmp_path: Path) -> None:
    preprocess([source], tmp_path / "one")
    time.sleep(1.1)  # a time stamp would show
    preprocess([source], tmp_path / "two")
    one, two = (tmp_path / name / "night.hdf5" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_the_montage_reaches_the_workers(source: Path, tmp_path: Path) -> None:
    other = edf_files.write(source.parent / "other.edf")
    montage = Montage(named={"Airflow": Modality.EMG})
    assert preprocess([source, other], tmp_path / "out", montage, workers=2).done == 2
    for name in ("night", "other"):
        with recordings.open_recording(tmp_path / "out" / f"{name}.hdf5") as recording:
            assert recording.modalities["Airflow"] is Modality.EMG


def test_workers_never_outnumber_nights() -> None:
    assert default_workers(1) == 1
    assert 1 <= default_workers(10_000) <= (os.cpu_count() or 1)


def test_a_cluster_finds_relative_paths(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        monkeypatch.chdir(source.parent)  # not where the worker stands
        summary = preprocess(["night.edf"], "out", cluster=cluster.scheduler_address)
    assert (summary.done, summary.failed) == (1, [])
    assert (source.parent / "out" / "night.hdf5").is_file()
