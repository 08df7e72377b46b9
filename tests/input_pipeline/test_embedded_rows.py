"""Any folder of embeddings as one table: rows, stages by time, subjects and splits."""

import dataclasses
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embedded_rows, embedding_layouts
from sleepfm_jax.input_pipeline.embedded_rows import Choice
from sleepfm_jax.input_pipeline.splits import Splits
from tests.input_pipeline import small_clip_embeddings, small_embeddings
from tests.input_pipeline.small_clip_embeddings import night, store

STEPS = [66, 63, 62, 61, 60, 120]  # of 5 s: 11 epochs, 10 + 3 rows, 10 + 2, 10 + 1, 10, 20


@pytest.fixture
def foundation(tmp_path: Path) -> Path:
    """Six nights of three subjects; the fourth has no EKG."""
    return small_embeddings.cohort(tmp_path, STEPS) / "embeddings"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three nights of two subjects in two splits, one of them in a subfolder."""
    return store(
        tmp_path / "clips_of",
        night("a1", clips=5, seed=1, subject="a", split="train"),
        night("a2", clips=7, seed=2, subject="a", split="train"),
        night("sub/b1", clips=4, seed=3, subject="b", split="test"),
    )


def test_clips_come_as_they_are_stored(clips: Path) -> None:
    for folder in (clips, clips / "clips"):
        found = embedded_rows.read(folder)
        given = [night("a1", 5, 1), night("a2", 7, 2), night("sub/b1", 4, 3)]
        for ours, theirs in (
            ("x", "rows"),
            ("present", "present"),
            ("stages", "stages"),
            ("starts", "starts"),
        ):
            expected = np.concatenate([getattr(one, theirs) for one in given])
            np.testing.assert_array_equal(getattr(found, ours), expected)
        assert found.x.dtype == np.float32
        assert found.nights == ("a1", "a2", "sub/b1")
        assert found.subjects == ("a", "a", "b")
        assert found.splits == ("train", "train", "test")
        assert found.night_of.tolist() == [0] * 5 + [1] * 7 + [2] * 4
        assert found.subject_of.tolist() == [0] * 12 + [1] * 4
        assert found.modalities == ("respiratory", "sleep_stages", "ekg")
        assert (found.seconds, found.model) == (30.0, "cd" * 32)


@settings(max_examples=20, deadline=None)
@given(steps=st.integers(1, 40))
def test_an_epoch_is_the_mean_of_its_six_rows(
    steps: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A last epoch of three rows or more counts with what is there, a shorter one is dropped."""
    folder = tmp_path_factory.mktemp("night")
    small_embeddings.write(folder / "sequence/n.hdf5", 3, steps)
    layout = embedding_layouts.find(folder, "epochs")
    rows = layout.read(folder / "sequence/n.hdf5")
    assert layout.describe(folder / "sequence/n.hdf5").rows == len(rows.x)
    chunks = [np.arange(k, min(k + 6, steps)) for k in range(0, steps, 6)]
    means = [chunk.mean() for chunk in chunks if len(chunk) >= 3]
    expected = np.zeros((len(means), 4, 3), np.float32)
    for modality in (0, 1, 3):  # night 3 has no EKG
        expected[:, modality, 0] = 3
        expected[:, modality, 1] = modality
        expected[:, modality, 2] = means
    np.testing.assert_allclose(rows.x, expected, rtol=1e-6)
    np.testing.assert_array_equal(rows.present, np.tile([1, 1, 0, 1], (len(means), 1)))
    np.testing.assert_array_equal(rows.starts, 30.0 * np.arange(len(means)))


def test_the_foundation_models_rows_are_epochs_or_windows(foundation: Path) -> None:
    epochs = embedded_rows.read(foundation, Choice("epochs"))
    assert np.bincount(epochs.night_of).tolist() == [11, 11, 10, 10, 10, 20]
    assert (epochs.seconds, epochs.modalities) == (30.0, ("BAS", "RESP", "EKG", "EMG"))
    windows = embedded_rows.read(foundation)
    assert np.bincount(windows.night_of).tolist() == [2, 2, 2, 2, 1, 2]
    assert windows.seconds == 300.0
    np.testing.assert_array_equal(windows.x[:2, 1], small_embeddings.values(0, 1, 2))
    shutil.rmtree(foundation / "sequence")
    with pytest.raises(InputError, match="has no sequence embeddings"):
        embedded_rows.read(foundation, Choice("epochs"))
    with pytest.raises(InputError, match=r"row every 300 s, not every 5 s.*--rows"):
        embedding_layouts.find(foundation / "pooled", "epochs").describe(
            foundation / "pooled" / "p0_a.hdf5"
        )


def test_the_published_layout_is_read(tmp_path: Path) -> None:
    """Bare datasets, no attributes: a folder of 5-second rows."""
    small_embeddings.write(tmp_path / "out/s1.hdf5", 0, 12)
    for rows in (None, "epochs"):
        found = embedded_rows.read(tmp_path / "out", Choice(rows))
        assert (len(found), found.seconds, found.model) == (2, 30.0, "")
    (tmp_path / "other").mkdir()
    shutil.move(tmp_path / "out", tmp_path / "other/pooled")
    assert len(embedded_rows.read(tmp_path / "other")) == 12


def test_labels_are_met_by_time_at_the_middle_of_a_row(clips: Path, tmp_path: Path) -> None:
    """Clips begin 60 s into the recording, so the third label is the first clip's."""
    labels = tmp_path / "labels"
    for name in ("a1", "b1"):
        small_embeddings.write_stages(labels / f"{name}.csv", 1, 60)
    found = embedded_rows.read(clips, Choice(labels=labels))
    assert found.nights == ("a1", "sub/b1")
    expected = [small_embeddings.stage(1, k) for k in (2, 3, 4, 5, 6, 2, 3, 4, 5)]
    assert found.stages.tolist() == expected
    assert found.left_out == (("a2", f"no label file of this name is in {labels}"),)
    np.testing.assert_array_equal(found.x[5:], night("sub/b1", 4, 3).rows)
    with pytest.raises(InputError, match="is no folder"):
        embedded_rows.read(clips, Choice(labels=tmp_path / "none"))


def test_subjects_and_splits_are_stored_ones_unless_asked_for(clips: Path) -> None:
    by_name = embedded_rows.read(clips, Choice(subject=r"(\d)$"))
    assert by_name.subjects == ("1", "2", "1")
    assert by_name.splits == ("train", "train", "test")
    by = Splits(published={"a1": "test", "b1": "train"}, subject=r"(\w)\d$")
    asked = embedded_rows.read(clips, Choice(splits=by))
    assert asked.splits == ("test", None, "train")
    assert asked.subjects == ("a", "a", "b")


def test_some_splits_are_read_one_after_the_other(clips: Path) -> None:
    found = embedded_rows.read(clips, splits=("test", "train"))
    assert found.nights == ("sub/b1", "a1", "a2")
    assert (found.of_split("test"), found.of_split("train")) == (slice(0, 4), slice(4, 16))
    np.testing.assert_array_equal(found.x[found.of_split("test")], night("sub/b1", 4, 3).rows)
    only = embedded_rows.read(clips, splits=("test",))
    assert (only.nights, len(only)) == (("sub/b1",), 4)
    with pytest.raises(InputError, match=r"in split 'validation'; there are test, train: name"):
        embedded_rows.read(clips, splits=("test", "validation"))


def test_a_subject_in_two_splits_is_refused(clips: Path) -> None:
    fault = r"subject 1 is in split train \(night a1\) and in test \(night sub/b1\)"
    with pytest.raises(InputError, match=fault):
        embedded_rows.read(clips, Choice(subject=r"(\d)$"), splits=("test",))


def test_rows_without_a_stage_are_passed_over(clips: Path) -> None:
    found = embedded_rows.read(clips, scored=True)
    assert found.stages.tolist() == [*range(4), *range(5), 0, *range(3)]
    assert (found.unscored, embedded_rows.read(clips).unscored) == (3, 0)
    expected = np.concatenate(
        [night("a1", 5, 1).rows[:4], night("a2", 7, 2).rows[:6], night("sub/b1", 4, 3).rows[:3]]
    )
    np.testing.assert_array_equal(found.x, expected)
    store(clips, dataclasses.replace(night("c"), stages=np.full(12, -1, np.int8)))
    later = embedded_rows.read(clips, scored=True)
    assert later.left_out == (
        ("c", "none of its 12 rows has a stage: give --labels, a folder of label files"),
    )


def test_without_stored_splits_the_default_ones_hold(foundation: Path) -> None:
    found = embedded_rows.read(foundation, Choice(subject="^(p.)"))
    expected = Splits(subject="^(p.)")
    assert found.splits == tuple(expected.split_of(name) for name in found.nights)
    assert found.subjects == ("p0", "p0", "p1", "p1", "p2", "p2")
    assert (found.stages == -1).all()


def test_nights_of_which_only_some_tell_their_split_are_refused(clips: Path) -> None:
    store(clips, night("c1", subject=None, split=None))
    with pytest.raises(InputError, match="tells the split of a1 but not of c1"):
        embedded_rows.read(clips)
    assert len(embedded_rows.read(clips, Choice(splits=Splits())).nights) == 4


def test_two_models_are_refused(clips: Path, foundation: Path) -> None:
    shutil.copytree(foundation / "pooled", clips / "pooled")
    with pytest.raises(InputError, match="embeddings of two models"):
        embedded_rows.read(clips)
    shutil.rmtree(clips / "pooled")
    other = dict(small_clip_embeddings.PROVENANCE, model_sha256="ef" * 32)
    store(clips, dataclasses.replace(night("c"), provenance=other))
    with pytest.raises(InputError, match="embedded by different models"):
        embedded_rows.read(clips)


def test_damaged_nights_are_left_out_and_the_others_read(
    clips: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (clips / "clips/a0.hdf5").write_text("no HDF5")
    with h5py.File(clips / "clips/a2.hdf5", "r+") as file:
        file["ekg"][1, 1] = np.nan
    found = embedded_rows.read(clips / "clips")
    assert found.nights == ("a1", "sub/b1")
    assert len(found) == 9
    np.testing.assert_array_equal(found.x[5:], night("sub/b1", 4, 3).rows)
    assert [name for name, _ in found.left_out] == ["a0", "a2"]
    assert "no numbers in ekg" in caplog.text
    for name in ("a1", "sub/b1"):
        (clips / f"clips/{name}.hdf5").write_text("no HDF5")
        if name == "a1":
            with pytest.raises(InputError, match="no night is left in split 'train'"):
                embedded_rows.read(clips, splits=("test", "train"))
    with pytest.raises(InputError, match=r"no night is left .*\(4 left out"):
        embedded_rows.read(clips)


def test_windows_of_clips_are_refused(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"clips of 30 s, no windows"):
        embedded_rows.read(clips, Choice("windows"))
    with pytest.raises(InputError, match="is no folder"):
        embedded_rows.read(tmp_path / "none")
