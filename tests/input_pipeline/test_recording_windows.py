"""Windows of plain recordings are the samples of the files, whoever reads them and when."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import night_windows, nights, recording_windows, windows
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.windows import EMPTY, PATCH, SAMPLES, Rule, Window
from tests.input_pipeline import small_nights


def assert_same(one: Window, other: Window) -> None:
    np.testing.assert_array_equal(one.signals, other.signals)
    np.testing.assert_array_equal(one.modality, other.modality)
    assert one[2:] == other[2:]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_nights.cohort(tmp_path_factory.mktemp("cohort"))


def test_windows_are_the_night_cut(cohort: Path) -> None:
    source = windows.open_recordings([cohort])
    assert source.nights == ("p0-a", "p0-b", "p1-a", "p1-b")
    assert source.night_of.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert source.night_of.dtype == np.int32
    assert len(source) == 8
    for index in range(len(source)):
        window = source[index]
        night = nights.load(cohort / f"{source.nights[source.night_of[index]]}.hdf5")
        assert window.night == night.name
        assert window.labels == night.labels
        assert window.start == 300.0 * (index % 2)
        assert window.patches == (60, 15)[index % 2]
        np.testing.assert_array_equal(window.modality, night.modality)
        start = int(window.start * 128)
        part = night.signals[:, start : start + window.patches * PATCH]
        np.testing.assert_array_equal(window.signals[:, : window.patches * PATCH], part)
        assert not window.signals[:, window.patches * PATCH :].any()


def test_numbers_may_be_numpy_and_have_bounds(cohort: Path) -> None:
    source = windows.open_recordings([cohort])
    assert_same(source[np.int64(3)], source[3])
    for index in (-1, 8):
        with pytest.raises(IndexError):
            source[index]


def test_loaded_nights_have_the_same_windows(cohort: Path) -> None:
    source = windows.open_recordings([cohort / "p0-b.hdf5"])
    night = night_windows.of_night(nights.load(cohort / "p0-b.hdf5"))
    assert len(night) == len(source)
    for number in range(len(night)):
        screened = night.screened(number, Rule())
        np.testing.assert_array_equal(screened.signals, source[number].signals)


def test_a_channel_without_numbers_in_a_part_loses_that_part_alone(tmp_path: Path) -> None:
    signals = dict(zip(small_nights.LABELS, small_nights.noise(0, 3, 2 * SAMPLES), strict=True))
    signals["ECG"][SAMPLES + 5] = np.nan
    big = signals["Airflow"].astype(np.float32)
    big[7] = 1e30  # no float16 holds it
    source = windows.open_recordings(
        [small_nights.write(tmp_path / "n.h5", {**signals, "Airflow": big})]
    )
    by_label = [dict(zip(window.labels, window.modality, strict=True)) for window in source]
    assert by_label == [
        {"C3-M2": 0, "Airflow": EMPTY, "ECG": 2},
        {"C3-M2": 0, "Airflow": 1, "ECG": EMPTY},
    ]


def test_pickled_sources_and_threads_read_the_same(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_windows, "OPEN_FILES", 2)
    source = windows.open_recordings([cohort])
    expected = [source[index] for index in range(len(source))]
    other = pickle.loads(pickle.dumps(source))
    order = [*range(len(source))] * 3
    with ThreadPoolExecutor(4) as pool:
        for index, window in zip(order, pool.map(other.__getitem__, order), strict=True):
            assert_same(window, expected[index])


def test_a_montage_chooses_channels(cohort: Path) -> None:
    montage = Montage(named={"ECG": None, "Airflow": Modality.EMG})
    source = windows.open_recordings([cohort], montage=montage)
    other = pickle.loads(pickle.dumps(source))
    for window in (source[0], other[0]):
        assert dict(zip(window.labels, window.modality, strict=True)) == {"C3-M2": 0, "Airflow": 3}


def test_few_files_are_open_at_a_time(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_windows, "OPEN_FILES", 2)
    source = windows.open_recordings([cohort])
    for index in range(len(source)):
        source[index]
        opened = [file.path for file in psutil.Process().open_files()]
        assert sum(path.startswith(str(cohort)) for path in opened) <= 2


def test_splits_take_whole_nights(cohort: Path) -> None:
    splits = Splits(fractions=(0.5, 0.25, 0.25), subject="^([^-]+)-")
    found = {}
    for split in ("train", "validation", "test"):
        if any(splits.split_of(name) == split for name in ("p0-a", "p1-a")):
            found[split] = windows.open_recordings([cohort], split, splits).nights
    assert sorted(sum(found.values(), ())) == ["p0-a", "p0-b", "p1-a", "p1-b"]
    for names in found.values():
        assert {name[:-1] for name in names} <= {"p0-", "p1-"}
        assert len(names) % 2 == 0
    given = Splits(published={"p0-b": "train", "p1-a": "train", "p1-b": "test"})
    source = windows.open_recordings([cohort], "train", given)
    assert source.nights == ("p0-b", "p1-a")
    assert source.left_out == [(str(cohort / "p0-a.hdf5"), "in none of the published splits")]
    with pytest.raises(InputError, match="no recording is left in split 'validation'"):
        windows.open_recordings([cohort], "validation", given)


def test_bad_recordings_are_left_out_and_told(tmp_path: Path) -> None:
    good = small_nights.night(tmp_path / "good.hdf5")
    short = small_nights.night(tmp_path / "short.hdf5", patches=11)
    (tmp_path / "text.hdf5").write_text("no HDF5")
    source = windows.open_recordings([tmp_path])
    assert source.nights == (good.stem,)
    reasons = dict(source.left_out)
    assert set(reasons) == {str(short), str(tmp_path / "text.hdf5")}
    assert "less than the 12 patches" in reasons[str(short)]
    with pytest.raises(InputError, match=r"no recording is left to be used \(1 left out; first"):
        windows.open_recordings([short])
    with pytest.raises(InputError, match="does not exist"):
        windows.open_recordings([tmp_path / "absent"])


def test_equal_names_are_refused(tmp_path: Path) -> None:
    one, other = (small_nights.night(tmp_path / place / "n.hdf5") for place in "ab")
    assert windows.open_recordings([tmp_path]).nights == ("a/n", "b/n")
    assert windows.open_recordings([one, one]).nights == ("n",)
    with pytest.raises(InputError, match="has the name n, as has"):
        windows.open_recordings([one, other])


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    path = small_nights.night(tmp_path / "n.hdf5")
    source = windows.open_recordings([path])
    small_nights.night(path, patches=70)
    with pytest.raises(InputError, match=r"n.hdf5 has changed since it was opened"):
        source[0]


def test_damage_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "n.hdf5"
    with h5py.File(path, "w") as file:
        samples = small_nights.noise(0, 1, SAMPLES)[0]
        for label in small_nights.LABELS:
            file.create_dataset(label, data=samples, chunks=(SAMPLES,), compression="gzip")
        place = file["ECG"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 1000 : place + 1100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"n.hdf5: channel 'ECG' is damaged"):
        windows.open_recordings([path])[0]
