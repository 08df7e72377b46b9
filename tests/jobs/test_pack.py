"""Every night is packed or listed, in its split; nothing but a store is ever replaced."""

import csv
import logging
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import nights, windows
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.windows import EMPTY, SAMPLES, Rule
from sleepfm_jax.jobs.pack import pack
from tests.input_pipeline import small_nights

ALL_TRAIN = Splits(fractions=(1.0, 0.0, 0.0))


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return small_nights.cohort(tmp_path / "cohort")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_workers_write_the_same_bytes(cohort: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        summary = pack([cohort], tmp_path / f"store{workers}", Montage(), workers=workers)
        assert (summary.done, summary.status) == (4, 0)
    assert tree(tmp_path / "store1") == tree(tmp_path / "store2")
    assert not list(tmp_path.glob(".*"))
    assert not {name for name in tree(tmp_path / "store1") if name.startswith(".")}


def test_a_seed_splits_subjects_and_more_nights_move_none(tmp_path: Path) -> None:
    splits = Splits(seed=4, fractions=(0.4, 0.3, 0.3), subject="^([^-]+)-")

    def split_of(cohort: Path, store: Path) -> dict[str, str]:
        pack([cohort], store, splits=splits)
        index = windows.open_store(store, "train").index
        assert all(night.name.startswith(night.subject) for night in index.nights)
        return {night.name: night.split for night in index.nights}

    few = split_of(small_nights.cohort(tmp_path / "few", 6, 12), tmp_path / "store")
    many = split_of(small_nights.cohort(tmp_path / "many", 16, 12), tmp_path / "more")
    assert few.items() <= many.items()
    assert len(set(many.values())) == 3
    for name, split in many.items():
        assert many[name[:-1] + "a"] == split


def test_published_splits_leave_nights_out(cohort: Path, tmp_path: Path) -> None:
    splits = Splits(published={"p0-a": "pretrain", "p1-b": "test", "elsewhere": "test"})
    summary = pack([cohort], tmp_path / "store", splits=splits)
    assert summary.done == 2
    reason = "in none of the published splits"
    assert summary.skipped == [(str(cohort / f"{n}.hdf5"), reason) for n in ("p0-b", "p1-a")]
    assert windows.open_store(tmp_path / "store", "pretrain").nights == ("p0-a",)
    assert windows.open_store(tmp_path / "store", "test").nights == ("p1-b",)


def test_what_the_rule_refuses_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Window 0 whole, 1 without EKG, 2 with EEG alone, 3 too short."""
    n = 3 * SAMPLES + 11 * windows.PATCH
    signals = dict(zip(small_nights.LABELS, small_nights.noise(0, 3, n), strict=True))
    signals["ECG"][SAMPLES : 3 * SAMPLES] = np.nan
    signals["Airflow"][2 * SAMPLES : 3 * SAMPLES] = 0
    path = small_nights.write(tmp_path / "n.hdf5", signals)
    with caplog.at_level(logging.INFO, "sleepfm_jax"):
        pack([path], tmp_path / "store", splits=ALL_TRAIN)
    source = windows.open_store(tmp_path / "store")
    assert [window.start for window in source] == [0.0, 300.0]
    assert [window.modality.tolist() for window in source] == [[0, 1, 2], [0, 1, EMPTY]]
    (night,) = source.index.nights
    assert night.records == 2
    assert night.dropped == {"fewer than 2 modalities": 1, "fewer than 12 patches": 1}
    assert night.emptied == {"missing": 1}
    assert source.index.made_with["counts"]["dropped_windows"] == night.dropped
    assert "windows dropped: {'fewer than 2 modalities': 1" in caplog.text

    pack([path], tmp_path / "all", splits=ALL_TRAIN, rule=Rule(1.0, 1, 1))
    everything = windows.open_store(tmp_path / "all")
    assert [window.patches for window in everything] == [60, 60, 60, 11]
    assert everything[2].modality.tolist() == [0, 1, EMPTY]


def test_bad_nights_are_listed_and_the_others_packed(cohort: Path, tmp_path: Path) -> None:
    (cohort / "text.hdf5").write_text("no HDF5")
    one = small_nights.noise(0, 1, SAMPLES)
    small_nights.write(cohort / "eeg.hdf5", {"C3-M2": one[0]})
    summary = pack([cohort], tmp_path / "store", splits=ALL_TRAIN)
    assert (summary.done, summary.status) == (4, 1)
    with (tmp_path / "store" / "failures.csv").open(newline="", encoding="utf-8") as file:
        reasons = dict([*csv.reader(file)][1:])
    assert set(reasons) == {str(cohort / "text.hdf5"), str(cohort / "eeg.hdf5")}
    reason = reasons[str(cohort / "eeg.hdf5")]
    assert "has no window to use (1 with fewer than 2 modalities)" in reason
    assert windows.open_store(tmp_path / "store").nights == ("p0-a", "p0-b", "p1-a", "p1-b")


def test_nothing_left_is_one_sentence_and_no_store(tmp_path: Path) -> None:
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"none of 1 nights can be packed; the first: .*text.hdf5"):
        pack([tmp_path / "text.hdf5"], tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["text.hdf5"]


def test_an_edf_night_is_packed_as_its_recording(psg: Path, tmp_path: Path) -> None:
    path = psg / "dreams_excerpt3" / "excerpt3.edf"
    pack([path], tmp_path / "store", splits=ALL_TRAIN)
    source = windows.open_store(tmp_path / "store")
    night = nights.load(path)
    assert len(source) == 6  # half an hour
    for number, window in enumerate(source):
        part = night.signals[:, number * SAMPLES : (number + 1) * SAMPLES]
        kept = window.modality != EMPTY
        assert kept.sum() > len(kept) / 2
        np.testing.assert_array_equal(window.signals[kept], part[kept])
        assert window.labels == night.labels


def test_only_a_store_is_replaced_and_only_when_told(cohort: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    pack([cohort / "p0-a.hdf5"], store, splits=ALL_TRAIN)
    before = tree(store)
    with pytest.raises(InputError, match="is there already: replace it with --overwrite"):
        pack([cohort], store)
    assert tree(store) == before
    pack([cohort], store, splits=ALL_TRAIN, overwrite=True)
    assert len(windows.open_store(store).nights) == 4

    (store / "notes.txt").write_text("mine")
    before = tree(store)
    with pytest.raises(InputError, match="is no window store: give another --output"):
        pack([cohort], store, overwrite=True)
    assert tree(store) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is no window store"):
        pack([cohort], tmp_path / "file", overwrite=True)
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert pack([cohort], tmp_path / "empty", splits=ALL_TRAIN).done == 4


def test_a_failed_run_leaves_the_old_store(cohort: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    pack([cohort], store, splits=ALL_TRAIN)
    before = tree(store)
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(InputError, match="none of 1 nights"):
        pack([tmp_path / "text.hdf5"], store, overwrite=True)
    assert tree(store) == before
    assert not list(tmp_path.glob(".*"))
