"""The nights of a folder, and of a split."""

import logging
from pathlib import Path

import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import night_files
from sleepfm_jax.input_pipeline.splits import Splits


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_nights_are_named_below_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b.hdf5", "site/a.h5", ".hidden/c.hdf5", ".d.hdf5", "e.csv", "a.1.HDF5")
    assert night_files.find(tmp_path) == {
        "a.1": tmp_path / "a.1.HDF5",
        "b": tmp_path / "b.hdf5",
        "site/a": tmp_path / "site/a.h5",
    }


def test_of_an_output_of_embed_the_five_second_rows_are_taken(tmp_path: Path) -> None:
    touch(tmp_path, "pooled/a.hdf5", "sequence/a.hdf5", "sequence/site/b.hdf5")
    assert [*night_files.find(tmp_path)] == ["a", "site/b"]
    assert night_files.find(tmp_path / "sequence") == night_files.find(tmp_path)


def test_folders_without_nights_and_names_that_meet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is no folder: check its name"):
        night_files.find(tmp_path / "none")
    with pytest.raises(InputError, match=r"no \.hdf5 or \.h5 file is under"):
        night_files.find(touch(tmp_path, "a.csv"))
    with pytest.raises(InputError, match=r"a\.hdf5 has the name a, as has .*a\.h5: remove one"):
        night_files.find(touch(tmp_path, "a.h5", "a.hdf5"))


def test_a_split_is_by_subject_and_names_what_has_none() -> None:
    files = {name: Path(name) for name in ("p1_a", "p1_b", "p2_a", "odd")}
    splits = Splits(fractions=(1.0, 0.0, 0.0), subject=r"^(p\d)_")
    chosen, left_out = night_files.of_split(files, "train", splits)
    assert [*chosen] == ["p1_a", "p1_b", "p2_a"]
    ((name, reason),) = left_out
    assert name == "odd"
    assert "has no subject by" in reason
    assert night_files.of_split(files, "test", splits) == ({}, left_out)
    assert night_files.of_split(files, None, splits) == (chosen, left_out)
    published = Splits(published={"p1_a": "test"})
    chosen, left_out = night_files.of_split(files, "test", published)
    assert [*chosen] == ["p1_a"]
    assert dict(left_out)["odd"] == "in none of the published splits"
    assert night_files.of_split(files, None, published) == (files, ())
    both = Splits(published=dict.fromkeys(files, "test"), subject=r"^(p\d)_")
    assert night_files.of_split(files, "test", both)[0].keys() == {"p1_a", "p1_b", "p2_a"}


def test_only_the_first_of_many_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        night_files.tell("left out", [(f"n{k}", "damaged") for k in range(5000)])
    assert len(caplog.records) == night_files.TOLD + 1
    assert "left out: n0: damaged" in caplog.text
    assert "and 4990 more" in caplog.text
