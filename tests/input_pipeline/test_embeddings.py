"""Embeddings on disk: what is written is read, complete or absent, and tells nothing personal."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embeddings
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings

ROWS = {"pooled": 2, "sequence": 67}
KINDS = {"pooled": 300.0, "sequence": 5.0}  # seconds a row (spec §4)
PROVENANCE = {
    "source": "night.edf",
    "sha256": "ab" * 32,
    "duration": 335.5,
    "model": "base",
    "model_sha256": "cd" * 32,
}


def night(name: str = "night", seed: int = 0) -> NightEmbeddings:
    draw = np.random.default_rng(seed)

    def rows(kind: str) -> dict[str, np.ndarray]:
        return {
            modality: draw.standard_normal((ROWS[kind], 8)).astype(np.float32)
            for modality in ("BAS", "RESP", "EMG")
        }

    return NightEmbeddings(
        name=name,
        pooled=rows("pooled"),
        sequence=rows("sequence"),
        labels={"BAS": ("C3-M2", "Tête/2"), "RESP": ("Airflow",), "EMG": ("Chin1-Chin2",)},
        left_out=(("Position", "none of the four"),),
        provenance=PROVENANCE,
    )


def assert_equal(ours: NightEmbeddings, expected: NightEmbeddings) -> None:
    assert ours.name == expected.name
    assert ours.labels == expected.labels
    assert dict(ours.provenance) == dict(expected.provenance)
    for kind in KINDS:
        rows, others = getattr(ours, kind), getattr(expected, kind)
        assert list(rows) == list(others)
        for modality, array in rows.items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, others[modality])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    embeddings.write(tmp_path, night())
    read = embeddings.read(tmp_path, "night")
    assert_equal(read, night())
    np.testing.assert_array_equal(read.pooled_times, [0.0, 300.0])
    np.testing.assert_array_equal(read.sequence_times, 5.0 * np.arange(67))
    embeddings.write(tmp_path, read)  # and read ones can be written
    assert_equal(embeddings.read(tmp_path, "night"), night())


def test_the_layout_is_one_float32_dataset_a_modality(tmp_path: Path) -> None:
    """So that plain h5py, and the published code, read it (spec §4)."""
    embeddings.write(tmp_path, night())
    for kind, step in KINDS.items():
        with h5py.File(tmp_path / kind / "night.hdf5", "r") as file:
            assert list(file) == ["BAS", "RESP", "EMG"]
            for modality, dataset in file.items():
                assert dataset.dtype == np.dtype("<f4")
                assert dataset.shape == (ROWS[kind], 8)
                np.testing.assert_array_equal(dataset, getattr(night(), kind)[modality])
            assert list(file["BAS"].attrs["labels"]) == ["C3-M2", "Tête/2"]
            assert dict(file.attrs) == {**PROVENANCE, "start": 0.0, "step": step}


def test_nothing_tells_when_and_where_it_was_written(tmp_path: Path) -> None:
    """No folder, no date; the same night gives the same bytes in any folder."""
    for folder in ("here", "there"):
        embeddings.write(tmp_path / folder, night())
    for kind in KINDS:
        content = (tmp_path / "here" / kind / "night.hdf5").read_bytes()
        assert content == (tmp_path / "there" / kind / "night.hdf5").read_bytes()
        assert str(tmp_path).encode() not in content
        with h5py.File(tmp_path / "here" / kind / "night.hdf5", "r") as file:
            assert [h5py.h5g.get_objinfo(rows.id).mtime for rows in file.values()] == [0, 0, 0]


def test_rows_of_another_night_do_not_stay(tmp_path: Path) -> None:
    """A rerun writes anew; the published code appended and left stale rows (spec §6)."""
    embeddings.write(tmp_path, night())
    shorter = dataclasses.replace(
        night(seed=1),
        pooled={"BAS": np.ones((1, 8), np.float32)},
        sequence={"BAS": np.ones((3, 8), np.float32)},
        labels={"BAS": ("C4-M1",)},
    )
    embeddings.write(tmp_path, shorter)
    assert_equal(embeddings.read(tmp_path, "night"), shorter)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_leaves_the_old_file_whole(kind: str, tmp_path: Path) -> None:
    embeddings.write(tmp_path, night())
    broken = dataclasses.replace(night(seed=1), **{kind: {"BAS": np.array(["no", "number"])}})
    with pytest.raises(ValueError, match="could not convert"):
        embeddings.write(tmp_path, broken)
    with h5py.File(tmp_path / kind / "night.hdf5", "r") as file:
        np.testing.assert_array_equal(file["BAS"], getattr(night(), kind)["BAS"])
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["night.hdf5"] * 2


def test_attributes_are_there_once_both_files_are(tmp_path: Path) -> None:
    assert embeddings.attributes(tmp_path, "night") is None
    embeddings.write(tmp_path, night())
    found = embeddings.attributes(tmp_path, "night")
    assert found is not None
    assert found["model_sha256"] == PROVENANCE["model_sha256"]
    for kind, path in embeddings.paths(tmp_path, "night").items():
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        assert embeddings.attributes(tmp_path, "night") is None, kind
        path.unlink()
        assert embeddings.attributes(tmp_path, "night") is None, kind
        path.write_bytes(whole)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file in the way")
    with pytest.raises(InputError, match=r"out/pooled/night\.hdf5 cannot be written .*free some"):
        embeddings.write(tmp_path / "out", night())


def test_published_files_are_read(tmp_path: Path) -> None:
    """Bare float32 datasets, no attributes; other entries are passed over."""
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        with h5py.File(tmp_path / kind / "night.hdf5", "w") as file:
            for modality, rows in getattr(night(), kind).items():
                file[modality] = rows
            file["notes"] = np.arange(3)
    read = embeddings.read(tmp_path, "night")
    bare = dataclasses.replace(night(), labels=dict.fromkeys(night().labels, ()), provenance={})
    assert_equal(read, bare)


def test_missing_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pooled/night\.hdf5 cannot be read .*embed the night"):
        embeddings.read(tmp_path, "night")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"BAS": np.ones((2, 8)), "RESP": np.ones((3, 8))},
        {"BAS": np.ones(8)},
        {"BAS": np.float32(1)},
        {"BAS/deeper": np.ones((2, 8))},
        {"BAS": np.array([b"text", b"rows"])},
    ],
    ids=["empty", "lengths differ", "one axis", "one number", "a group", "text"],
)
def test_files_that_hold_something_else_are_refused(
    content: dict[str, np.ndarray], tmp_path: Path
) -> None:
    embeddings.write(tmp_path, night())
    with h5py.File(tmp_path / "sequence" / "night.hdf5", "w") as file:
        for name, value in content.items():
            file[name] = value
    with pytest.raises(InputError, match=r"sequence/night\.hdf5 .*: embed the night again"):
        embeddings.read(tmp_path, "night")


@pytest.mark.parametrize("sixteenths", range(16))
def test_a_copy_that_broke_off_is_refused(sixteenths: int, tmp_path: Path) -> None:
    embeddings.write(tmp_path, night())
    path = embeddings.paths(tmp_path, "night")["sequence"]
    whole = path.read_bytes()
    path.write_bytes(whole[: sixteenths * len(whole) // 16])
    with pytest.raises(
        InputError, match=r"sequence/night\.hdf5 cannot be read .*: embed the night"
    ):
        embeddings.read(tmp_path, "night")
    assert embeddings.attributes(tmp_path, "night") is None


@pytest.mark.parametrize("block", range(5))
def test_a_lost_block_is_refused(block: int, tmp_path: Path) -> None:
    """Zeros in the blocks of 512 bytes that tell names, shapes and labels."""
    embeddings.write(tmp_path, night())
    path = embeddings.paths(tmp_path, "night")["sequence"]
    content = bytearray(path.read_bytes())
    content[block * 512 : (block + 1) * 512] = bytes(512)
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"sequence/night\.hdf5 cannot be read .*: embed the night"
    ):
        embeddings.read(tmp_path, "night")


def test_what_a_file_holds_is_told_by_its_rows(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "recording.hdf5", "w") as file:
        file["EMG"] = np.zeros(100, np.float16)  # a channel that is called like a modality
    with h5py.File(tmp_path / "published.hdf5", "w") as file:
        file["BAS"] = np.zeros((3, 4), np.float32)
    embeddings.write(tmp_path, night())
    (tmp_path / "text.hdf5").write_text("no HDF5")
    files = embeddings.paths(tmp_path, "night")
    assert [embeddings.step(files[kind]) for kind in ("sequence", "pooled")] == [5.0, 300.0]
    assert embeddings.step(tmp_path / "published.hdf5") == 5.0
    assert embeddings.step(tmp_path / "recording.hdf5") is None
    assert embeddings.step(tmp_path / "text.hdf5") is None


def test_steps_alone_are_read_and_must_be_numbers(tmp_path: Path) -> None:
    embeddings.write(tmp_path, night())
    path = embeddings.paths(tmp_path, "night")["sequence"]
    found = embeddings.read_sequence(path, "night")
    assert found.pooled == {}
    for modality, rows in night().sequence.items():
        np.testing.assert_array_equal(found.sequence[modality], rows)
    with h5py.File(path, "r+") as file:
        next(iter(file.values()))[0, 0] = np.nan
    with pytest.raises(InputError, match="holds values that are no numbers in"):
        embeddings.read_sequence(path, "night")
