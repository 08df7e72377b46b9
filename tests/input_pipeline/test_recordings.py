"""Recordings are read whoever wrote them; damaged ones are refused with a sentence."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.recordings import (
    NotFinite,
    Quality,
    Recording,
    Signal,
    open_recording,
    write,
)


def noise(count: int, dtype: type = np.float16) -> np.ndarray:
    return np.random.default_rng(count).standard_normal(count).astype(dtype)


def published(path: Path, datasets: dict[str, np.ndarray]) -> Path:
    """A recording as the published code leaves it: bare datasets."""
    with h5py.File(path, "w") as file:
        for label, samples in datasets.items():
            file.create_dataset(label, data=samples, chunks=True, compression="gzip")
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_published_recordings_are_read(tmp_path: Path, dtype: type) -> None:
    datasets = {"C3-M2": noise(5000, dtype), "ECG": noise(5000, dtype), "Foo": noise(5000, dtype)}
    with open_recording(published(tmp_path / "night.hdf5", datasets)) as recording:
        assert recording.modalities == {
            "C3-M2": Modality.BAS,
            "ECG": Modality.EKG,
            "Foo": None,
        }
        assert not recording.tagged
        assert recording.provenance == {}
        assert recording.notes == ()
        assert recording.samples == 5000
        assert recording.duration == 5000 / 128
        for label, samples in datasets.items():
            read = recording.read(label)
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, samples.astype(np.float32))
        np.testing.assert_array_equal(
            recording.read("ECG", 100, 200), datasets["ECG"][100:200].astype(np.float32)
        )


def test_a_slash_that_became_a_folder_is_put_back(tmp_path: Path) -> None:
    datasets = {"EEG C3/A2": noise(640), "Resp/Thorax/Belt": noise(640), "ECG": noise(640)}
    with open_recording(published(tmp_path / "night.hdf5", datasets)) as recording:
        assert set(recording.labels) == set(datasets)
        assert recording.modalities["EEG C3/A2"] is Modality.BAS
        for label, samples in datasets.items():
            np.testing.assert_array_equal(recording.read(label), samples.astype(np.float32))


def test_ours_keep_order_and_modality(tmp_path: Path) -> None:
    path = tmp_path / "night.hdf5"
    signals = [
        Signal(label, modality, noise(640), 32.0, "", Quality(0.0, 0.0, 0.0))
        for label, modality in [("z", Modality.EMG), ("a/b", Modality.RESP), ("m", Modality.BAS)]
    ]
    write(path, signals, {"source": "night.edf", "duration": 5.0})
    with open_recording(path) as recording:
        assert recording.tagged
        assert list(recording.modalities.items()) == [
            ("z", Modality.EMG),
            ("a/b", Modality.RESP),
            ("m", Modality.BAS),
        ]
        assert recording.provenance["source"] == "night.edf"
        assert recording.provenance["duration"] == 5.0


def test_unequal_lengths_are_cut_and_told(tmp_path: Path) -> None:
    path = published(tmp_path / "night.hdf5", {"C3": noise(2000), "ECG": noise(1000)})
    with open_recording(path) as recording:
        assert recording.samples == 1000
        assert len(recording.read("C3")) == len(recording.read("C3", 0, 5000)) == 1000
        (note,) = recording.notes
        assert str(path) in note


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    samples = noise(2000)
    samples[1500] = np.nan
    with open_recording(published(tmp_path / "night.hdf5", {"C3": samples})) as recording:
        assert len(recording.read("C3", 0, 1500)) == 1500
        with pytest.raises(NotFinite, match=r"night.hdf5: channel 'C3' holds samples that are no"):
            recording.read("C3")


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    published(tmp_path / "other.hdf5", {"ECG": noise(640)})
    path = published(tmp_path / "night.hdf5", {"C3": noise(640)})
    with h5py.File(path, "a") as file:
        file["ECG"] = h5py.ExternalLink("other.hdf5", "/ECG")
    with open_recording(path) as recording:
        assert recording.labels == ("C3",)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_recording(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("datasets", "fault"),
    [
        ({}, "holds no channel"),
        ({"C3": np.zeros((2, 640), np.float16)}, "'C3' is float16 of shape (2, 640), not one row"),
        ({"C3": np.zeros(640, np.int16)}, "'C3' is int16 of shape (640,), not one row"),
        ({"C3": np.zeros(0, np.float16)}, "'C3' is float16 of shape (0,), not one row"),
        ({"C3": np.array(b"text")}, "'C3' is |S4 of shape ()"),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, datasets: dict[str, np.ndarray], fault: str
) -> None:
    path = tmp_path / "night.hdf5"
    with h5py.File(path, "w") as file:
        for label, values in datasets.items():
            file[label] = values
    assert fault in refusal(path)


def test_another_rate_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path / "night.hdf5", {"C3": noise(640)})
    with h5py.File(path, "a") as file:
        file.attrs["rate"] = 256
    assert "is at 256 Hz, not 128" in refusal(path)


def test_an_unknown_modality_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path / "night.hdf5", {"C3": noise(640)})
    with h5py.File(path, "a") as file:
        file["C3"].attrs["modality"] = "EEG"
    assert "'C3' has no known modality but 'EEG'" in refusal(path)


def test_files_that_are_absent_other_or_cut_short(tmp_path: Path) -> None:
    assert "cannot be opened (No such file or directory)" in refusal(tmp_path / "absent.hdf5")
    assert "cannot be opened (Is a directory)" in refusal(tmp_path)
    (tmp_path / "text.hdf5").write_text("C3-M2,ECG\n" * 100)
    assert "is not a readable HDF5 file" in refusal(tmp_path / "text.hdf5")
    (tmp_path / "empty.hdf5").touch()
    assert "is not a readable HDF5 file" in refusal(tmp_path / "empty.hdf5")
    content = published(tmp_path / "night.hdf5", {"C3": noise(50000)}).read_bytes()
    for share in (0.3, 0.9, 0.999):
        (tmp_path / "cut.hdf5").write_bytes(content[: int(share * len(content))])
        assert "is cut short" in refusal(tmp_path / "cut.hdf5")


@pytest.mark.parametrize("offset", [0, 8, 60])
def test_damaged_structure_is_refused(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "night.hdf5"
    write(path, [Signal("C3", Modality.BAS, noise(2000), 128.0, "", Quality(0, 0, 0))], {})
    with h5py.File(path) as file:
        header = h5py.h5o.get_info(file["C3"].id).addr
    content = bytearray(path.read_bytes())
    content[header + offset : header + offset + 8] = b"damaged!"
    path.write_bytes(content)
    assert "is damaged" in refusal(path)


def test_damage_within_is_found_when_read(tmp_path: Path) -> None:
    path = tmp_path / "night.hdf5"
    write(path, [Signal("C3", Modality.BAS, noise(99999), 128.0, "", Quality(0, 0, 0))], {})
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        chunk = file["C3"].id.get_chunk_info(1)
    content[chunk.byte_offset + 1000 : chunk.byte_offset + 1100] = bytes(100)
    path.write_bytes(content)
    with open_recording(path) as recording:
        assert isinstance(recording, Recording)
        assert len(recording.read("C3", 0, 38400)) == 38400
        with pytest.raises(InputError, match="channel 'C3' is damaged"):
            recording.read("C3")
