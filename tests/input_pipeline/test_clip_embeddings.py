"""Embeddings of clips on disk: what is written is read, complete or absent."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clip_embeddings
from sleepfm_jax.input_pipeline.clip_embeddings import ClipEmbeddings
from tests.input_pipeline.small_clip_embeddings import PROVENANCE, WIDTH, night, store

DATASETS = {
    "respiratory": ("<f4", (12, WIDTH)),
    "sleep_stages": ("<f4", (12, WIDTH)),
    "ekg": ("<f4", (12, WIDTH)),
    "present": ("|b1", (12, 3)),
    "start": ("<f8", (12,)),
    "stage": ("|i1", (12,)),
}


def read(folder: Path) -> ClipEmbeddings:
    return clip_embeddings.read(clip_embeddings.path_of(folder, "night"), "night")


@pytest.mark.parametrize("known", [True, False])
def test_what_is_written_is_read(known: bool, tmp_path: Path) -> None:
    given = night() if known else night(subject=None, split=None)
    store(tmp_path, given)
    for _ in range(2):
        found = read(tmp_path)
        for field in dataclasses.fields(ClipEmbeddings):
            ours, expected = (getattr(of, field.name) for of in (found, given))
            if isinstance(expected, np.ndarray):
                assert ours.dtype == expected.dtype
                np.testing.assert_array_equal(ours, expected)
            else:
                assert ours == expected
        store(tmp_path, found)  # and read ones can be written


def test_the_layout_is_a_dataset_a_modality_in_plain_hdf5(tmp_path: Path) -> None:
    store(tmp_path, night())
    with h5py.File(tmp_path / "clips" / "night.hdf5", "r") as file:
        assert {name: (d.dtype.str, d.shape) for name, d in file.items()} == DATASETS
        np.testing.assert_array_equal(file["ekg"], night().rows[:, 2])
        assert file["respiratory"].attrs["labels"].tolist() == ["Thor", "", "Abd"]
        expected = {**PROVENANCE, "step": 30.0, "subject": "p0", "split": "train"}
        assert dict(file.attrs) == expected
    assert clip_embeddings.attributes(tmp_path, "night") == expected
    assert clip_embeddings.attributes(tmp_path, "other") is None


def test_the_same_night_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    contents = [
        (store(tmp_path / where, night()) / "clips" / "night.hdf5").read_bytes()
        for where in ("here", "there")
    ]
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in contents[0]


def test_a_failure_leaves_the_old_file_whole(tmp_path: Path) -> None:
    store(tmp_path, night())
    before = (tmp_path / "clips" / "night.hdf5").read_bytes()
    with pytest.raises(ValueError, match="could not convert"):
        store(tmp_path, dataclasses.replace(night(), starts=np.array(["no", "time"])))
    assert (tmp_path / "clips" / "night.hdf5").read_bytes() == before
    assert [path.name for path in tmp_path.rglob("*.*")] == ["night.hdf5"]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"night\.hdf5 cannot be written .*free some space"):
        store(tmp_path / "file", night())


@pytest.mark.parametrize(
    ("dataset", "value"),
    [
        ("ekg", np.full((12, WIDTH), np.nan, np.float32)),
        ("ekg", np.zeros((11, WIDTH), np.float32)),
        ("ekg", np.zeros(12, np.float32)),
        ("present", np.ones((12, 2), bool)),
        ("present", np.ones((12, 3))),
        ("start", np.full(12, np.nan)),
        ("start", np.zeros(11)),
        ("stage", np.full(12, 5, np.int8)),
        ("stage", np.zeros(12)),
        ("stage", None),
    ],
)
def test_what_cannot_be_is_refused(dataset: str, value: np.ndarray | None, tmp_path: Path) -> None:
    path = clip_embeddings.path_of(store(tmp_path, night()), "night")
    with h5py.File(path, "r+") as file:
        del file[dataset]
        if value is not None:
            file[dataset] = value
    with pytest.raises(InputError, match=r"clips/night\.hdf5 .*: embed the night again"):
        read(tmp_path)


@pytest.mark.parametrize("eighths", range(8))
def test_a_copy_that_broke_off_is_refused(eighths: int, tmp_path: Path) -> None:
    path = clip_embeddings.path_of(store(tmp_path, night()), "night")
    whole = path.read_bytes()
    path.write_bytes(whole[: eighths * len(whole) // 8])
    with pytest.raises(InputError, match=r"night\.hdf5 cannot be read .*: embed the night"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"night\.hdf5 cannot be read .*: embed the night"):
        clip_embeddings.describe(path)
    assert clip_embeddings.attributes(tmp_path, "night") is None


def test_a_file_is_described_without_its_rows(tmp_path: Path) -> None:
    path = clip_embeddings.path_of(store(tmp_path, night()), "night")
    found = clip_embeddings.describe(path)
    assert found is not None
    assert (found.rows, found.width, found.model, found.step) == (12, WIDTH, "cd" * 32, 30.0)
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["BAS"] = np.zeros((3, WIDTH), np.float32)
    assert clip_embeddings.describe(tmp_path / "other.hdf5") is None
