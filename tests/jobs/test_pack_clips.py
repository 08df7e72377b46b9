"""Every night becomes clips with its stages, or is listed; what a clip lacks is counted."""

import logging
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clips
from sleepfm_jax.input_pipeline.clips import Rule
from sleepfm_jax.input_pipeline.splits import FOUR, Splits
from sleepfm_jax.jobs.cut_clips import HowToCut
from sleepfm_jax.jobs.pack import pack
from sleepfm_jax.jobs.pack_clips import pack_clips
from tests.input_pipeline import edf_files, small_clips, small_nights

ALL_TRAIN = Splits(fractions=(1.0, 0.0, 0.0))


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return small_clips.cohort(tmp_path / "cohort")


def stages(store: Path, split: str = "train") -> dict[str, list[int]]:
    source = clips.open_store(store, split)
    return {
        night: source.stages[source.night_of == number].tolist()
        for number, night in enumerate(source.nights)
    }


def test_labels_beside_the_recordings_are_found(
    cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "sleepfm_jax"):
        summary = pack_clips([cohort], tmp_path / "store", splits=ALL_TRAIN)
    assert (summary.done, summary.status) == (4, 0)
    found = stages(tmp_path / "store")
    assert found == {
        "p0-a": [0, 1, 2, 3, 4],
        "p0-b": [2, 2],
        "p1-a": [0, -1, 4],
        "p1-b": [-1, -1],
    }
    assert "1 of 4 nights have no stages, such as p1-b" in caplog.text
    assert "train: 3 ?, 2 W, 1 1, 3 2, 1 3, 2 R" in caplog.text
    assert "no night has a channel for SaO2, ABD, C4-M1, O1-M2, O2-M1, E1-M2: empty" in caplog.text
    assert len(clips.scored(clips.open_store(tmp_path / "store"))) == 9


def test_a_folder_of_labels_replaces_those_beside(cohort: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "p1-b.csv").write_text(small_clips.table("3"))
    how = HowToCut(labels=labels)
    pack_clips([cohort / "p1-b.hdf5", cohort / "p0-b.hdf5"], tmp_path / "s", how, splits=ALL_TRAIN)
    assert stages(tmp_path / "s") == {"p1-b": [3], "p0-b": [-1, -1]}
    with pytest.raises(InputError, match="absent is no folder"):
        pack_clips([cohort], tmp_path / "other", HowToCut(labels=tmp_path / "absent"))


def test_labels_that_cannot_be_read_fail_their_night_alone(cohort: Path, tmp_path: Path) -> None:
    (cohort / "p0-a.csv").write_text("Start,Stop,StageName,StageNumber\n0,30,N7,7\n")
    summary = pack_clips([cohort], tmp_path / "store", splits=ALL_TRAIN)
    assert [name for name, _ in summary.failed] == [str(cohort / "p0-a.hdf5")]
    assert str(cohort / "p0-a.csv") in summary.failed[0][1]
    assert len(stages(tmp_path / "store")) == 3


def test_a_plain_edf_beside_is_no_label_file_and_long_labels_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = small_clips.night(tmp_path / "n.hdf5", "")
    edf_files.write(tmp_path / "n.edf", events=False)
    pack_clips([path], tmp_path / "store", splits=ALL_TRAIN)
    assert stages(tmp_path / "store") == {"n": [-1, -1]}
    assert "check" not in caplog.text
    path.with_suffix(".csv").write_text(small_clips.table("W123RR"))
    pack_clips([path], tmp_path / "store", splits=ALL_TRAIN, overwrite=True)
    assert stages(tmp_path / "store") == {"n": [0, 1]}
    assert f"of this night: {path}: they go on 120 s after its last clip" in caplog.text


def test_nights_are_split_into_four_by_subject(tmp_path: Path) -> None:
    cohort = tmp_path / "many"
    for number in range(12):
        for letter in "ab":
            small_clips.night(cohort / f"p{number}-{letter}.hdf5", "2", labels=("Thor", "ECG"))
    splits = Splits(seed=1, fractions=(0.3, 0.3, 0.2, 0.2), subject="^([^-]+)")
    pack_clips([cohort], tmp_path / "store", splits=splits)
    subjects = [set(clips.open_store(tmp_path / "store", split).subjects) for split in FOUR]
    assert len(set.union(*subjects)) == sum(map(len, subjects)) == 12
    for split in FOUR:
        source = clips.open_store(tmp_path / "store", split)
        assert len(source.nights) == 2 * len(set(source.subjects))
    assert clips.open_store(tmp_path / "store", "test").index.made_with["fractions"] == [
        0.3,
        0.3,
        0.2,
        0.2,
    ]


def test_what_a_clip_lacks_is_counted(tmp_path: Path) -> None:
    """Epoch 1 without the heart, 2 with the EEG alone, 4 with a chest that does not move."""
    path = small_clips.night(tmp_path / "n.hdf5", "W123R2")
    small_clips.with_hole(path, "ECG", 1, 3)
    small_clips.with_hole(path, "Thor", 2, 3)
    small_clips.fill(path, "Thor", 4, 5, 0.25)
    pack_clips([path], tmp_path / "store", splits=ALL_TRAIN)
    source = clips.open_store(tmp_path / "store")
    (entry,) = source.index.nights
    assert source.stages.tolist() == [0, 1, 3, 4, 2]
    assert np.diff(source.starts).tolist() == [30, 60, 30, 30]
    assert entry.records == 5
    assert entry.dropped == {"fewer than 2 modalities": 1}
    assert entry.emptied == {"missing": 1, "flat": 1}
    assert entry.labels == ("Thor", "", "", "C3-A2", "", "", "", "", "ECG")
    assert source.index.made_with["counts"] == {
        "nights": 1,
        "clips": 5,
        "dropped_clips": entry.dropped,
        "emptied_channels": entry.emptied,
    }
    present = np.array([clip.present for clip in source])[:, small_clips.PLACES]
    expected = [[1, 1, 1], [1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 1, 1]]
    np.testing.assert_array_equal(present, np.array(expected, bool))

    everything = HowToCut(rule=Rule(flat_limit=1.0, least_modalities=1))
    pack_clips([path], tmp_path / "all", everything, splits=ALL_TRAIN)
    source = clips.open_store(tmp_path / "all")
    assert len(source) == 6
    assert source[4].present[0]


def test_nights_that_cannot_be_used_are_listed(cohort: Path, tmp_path: Path) -> None:
    (cohort / "text.hdf5").write_text("no HDF5")
    small_nights.write(cohort / "eeg.hdf5", {"C3-M2": small_nights.noise(0, 1, 128 * 40)[0]})
    small_nights.write(cohort / "odd.hdf5", {"Position": small_nights.noise(0, 1, 128 * 40)[0]})
    edf_files.write(cohort / "short.edf")  # whose own annotations score it from 1 s on
    summary = pack_clips([cohort], tmp_path / "store", splits=ALL_TRAIN)
    assert (summary.done, summary.status) == (4, 1)
    reasons = {Path(name).name: reason for name, reason in summary.failed}
    assert "no clip to use (1 with fewer than 2 modalities)" in reasons["eeg.hdf5"]
    assert "only 'Position': say what its channels are with --place" in reasons["odd.hdf5"]
    assert "11 s to be cut" in reasons["short.edf"]
    assert set(reasons) == {"text.hdf5", "eeg.hdf5", "odd.hdf5", "short.edf"}


def test_only_a_store_of_clips_is_replaced(cohort: Path, tmp_path: Path) -> None:
    store, other = tmp_path / "store", tmp_path / "windows"
    pack_clips([cohort], store, splits=ALL_TRAIN)
    with pytest.raises(InputError, match="is there already: replace it with --overwrite"):
        pack_clips([cohort], store)
    pack_clips([cohort / "p0-a.hdf5"], store, splits=ALL_TRAIN, overwrite=True)
    assert [*stages(store)] == ["p0-a"]
    pack([small_nights.night(tmp_path / "n.hdf5")], other)
    with pytest.raises(InputError, match="is no clip store: give another --output"):
        pack_clips([cohort], other, overwrite=True)
    with pytest.raises(InputError, match="is no window store: give another --output"):
        pack([tmp_path / "n.hdf5"], store, overwrite=True)


def test_workers_cut_the_same_clips(cohort: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        pack_clips([cohort], tmp_path / f"s{workers}", splits=ALL_TRAIN, workers=workers)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / f"s{n}").iterdir()} for n in (1, 2)
    )
    assert one == two


def test_labels_named_in_vain_are_told(
    cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    how = HowToCut(places={"Thor": "ABD", "Chest 2": "CHEST"})
    pack_clips([cohort], tmp_path / "store", how, splits=ALL_TRAIN)
    assert "no night has a channel 'Chest 2', which you named CHEST" in caplog.text
    source = clips.open_store(tmp_path / "store")
    assert {night.labels[:3] for night in source.index.nights} == {("", "", "Thor")}
