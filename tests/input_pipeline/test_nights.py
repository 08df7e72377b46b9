"""A night is the same whichever way it comes; importing what reads it needs no JAX."""

import subprocess
import sys
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import edf, nights, recordings
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.nights import Night
from tests.input_pipeline import edf_files


def assert_same(one: Night, other: Night) -> None:
    assert one.labels == other.labels
    np.testing.assert_array_equal(one.modality, other.modality)
    np.testing.assert_array_equal(one.signals, other.signals)
    assert one.signals.dtype == other.signals.dtype == np.float16
    assert one.modality.dtype == other.modality.dtype == np.int8


def through_hdf5(source: Path, folder: Path, montage: Montage | None = None) -> Path:
    path = folder / "night.hdf5"
    with nights.convert(source, montage) as night:
        recordings.write(path, night, night.provenance)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "dreams_excerpt3/excerpt3.edf",
        "nox_a1_rsleep/subject1.edf",
        "sleep_edf_short/short_psg.bdf",
        "cap_brux2_crop/sample.edf",
    ],
)
def test_every_way_leads_to_the_same_night(psg: Path, tmp_path: Path, name: str) -> None:
    direct = nights.load(psg / name)
    assert direct.signals.shape == (len(direct.labels), direct.signals.shape[1])
    path = through_hdf5(psg / name, tmp_path)
    stored = nights.load(path)
    assert_same(stored, direct)
    for key, value in direct.provenance.items():
        assert stored.provenance[key] == value
    with edf.open_recording(psg / name) as opened:
        assert_same(nights.load(opened), direct)
        assert opened.read(opened.signals[0]).size  # it stays open, as it came
    with recordings.open_recording(path) as opened:
        assert_same(nights.load(opened), direct)
    assert_same(nights.load(path, Montage()), direct)


def test_a_raw_is_the_same_night(psg: Path) -> None:
    path = psg / "cap_brux2_crop" / "sample.edf"
    raw = mne.io.read_raw_edf(path, verbose="error")
    assert_same(nights.load(raw), nights.load(path))


def test_modalities_of_a_real_night(psg: Path) -> None:
    night = nights.load(psg / "dreams_excerpt3" / "excerpt3.edf", threads=2)
    assert night.name == "excerpt3"
    assert set(night.modality) == set(Modality)
    assert night.signals.shape[1] == 1800 * 128
    assert "hypnogram" in dict(night.left_out)


def test_published_recordings_go_through_the_montage(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = ["Position", "ECG", "C3", "C3-M2", "Chin1-Chin2", "EEG C4/A1"]
    with h5py.File(tmp_path / "night.h5", "w") as file:
        for label in labels:
            file[label] = random.standard_normal(5000).astype(np.float32)
        stored = {label: file[label][:] for label in labels}
    night = nights.load(tmp_path / "night.h5")
    expected = Montage().choose(labels)
    assert set(night.labels) == {chosen.label for chosen in expected.chosen}
    assert set(dict(night.left_out)) == {"Position", "C3"}
    for label, samples in zip(night.labels, night.signals, strict=True):
        np.testing.assert_array_equal(samples, stored[label].astype(np.float16))


def test_what_preprocess_was_told_holds_unless_told_otherwise(tmp_path: Path) -> None:
    source = edf_files.write(tmp_path / "night.edf")
    path = through_hdf5(source, tmp_path, Montage(named={"Airflow": Modality.EMG}))

    def modalities(montage: Montage | None) -> dict[str, int]:
        night = nights.load(path, montage)
        return dict(zip(night.labels, night.modality.tolist(), strict=True))

    kinds = {"C3-M2": Modality.BAS, "Airflow": Modality.EMG}
    assert modalities(None) == modalities(Montage()) == kinds
    assert modalities(Montage(named={"C3-M2": Modality.RESP})) == kinds | {"C3-M2": Modality.RESP}
    assert modalities(Montage(named={"Airflow": None})) == {"C3-M2": Modality.BAS}
    assert modalities(Montage(groups={Modality.RESP: ["Airflow"]})) == {"Airflow": Modality.RESP}


def test_channels_without_numbers_are_left_out_of_a_recording(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "night.hdf5", "w") as file:
        file["C3"] = np.zeros(1000, np.float16)
        file["ECG"] = np.full(1000, np.nan, np.float16)
    night = nights.load(tmp_path / "night.hdf5")
    assert night.labels == ("C3",)
    assert dict(night.left_out) == {"ECG": "it holds samples that are no numbers"}


@pytest.mark.parametrize(
    ("datasets", "fault"),
    [
        ({"C3": np.zeros(639, np.float16)}, "is 4.99219 s long"),
        ({"Light": np.zeros(640, np.float16)}, "no channel of any of the four modalities"),
        ({"C3": np.full(640, np.nan, np.float16)}, "no channel of any of the four modalities"),
    ],
)
def test_unusable_recordings_are_refused(
    tmp_path: Path, datasets: dict[str, np.ndarray], fault: str
) -> None:
    path = tmp_path / "night.hdf5"
    with h5py.File(path, "w") as file:
        for label, samples in datasets.items():
            file[label] = samples
    with pytest.raises(InputError, match=fault) as caught:
        nights.load(path)
    assert str(caught.value).startswith(str(path))


def test_the_content_decides_what_a_file_is(tmp_path: Path) -> None:
    edf_files.write(tmp_path / "night.edf").rename(tmp_path / "night.dat")
    assert nights.load(tmp_path / "night.dat").labels == ("C3-M2", "Airflow")
    through_hdf5(tmp_path / "night.dat", tmp_path).rename(tmp_path / "night.bin")
    assert nights.load(tmp_path / "night.bin").labels == ("C3-M2", "Airflow")
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(InputError, match="is not a readable HDF5 file"):
        nights.load(tmp_path / "text.hdf5")


def test_what_is_no_night_at_all() -> None:
    with pytest.raises(TypeError, match="3 is no path"):
        nights.load(3)  # type: ignore[arg-type]


def test_reading_nights_imports_neither_jax_nor_mne() -> None:
    """Workers start fast and fork safely."""
    program = """
import pkgutil, importlib, sys
import sleepfm_jax.commands.preprocess, sleepfm_jax.input_pipeline as package
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print(*({"jax", "flax", "mne", "matplotlib", "torch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
