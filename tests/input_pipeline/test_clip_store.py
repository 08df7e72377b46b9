"""A store of clips holds what nights hold, says stages and times unread, and knows what it is."""

import dataclasses
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, clips, night_clips, store_index, windows
from sleepfm_jax.input_pipeline.clip_times import ClipTimes
from sleepfm_jax.input_pipeline.clips import Clip
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.store_index import NightEntry, Shard
from sleepfm_jax.input_pipeline.store_kinds import CLIPS, WINDOWS
from sleepfm_jax.jobs.pack import pack
from sleepfm_jax.jobs.pack_clips import pack_clips
from tests.input_pipeline import small_clips, small_nights

SPLITS = Splits(
    subject="^([^-]+)",
    published={"p0-a": "pretrain", "p0-b": "test", "p1-a": "pretrain", "p1-b": "pretrain"},
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clips.cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def store(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In shards small enough that nights lie across their borders."""
    path = tmp_path_factory.mktemp("store") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sleepfm_jax.jobs.pack_clips.CLIPS", dataclasses.replace(CLIPS, most=4))
        pack_clips([cohort], path, splits=SPLITS)
    return path


def assert_same(one: Clip, other: Clip) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def cut(cohort: Path, name: str) -> night_clips.NightClips:
    labels = cohort / f"{name}.csv"
    hypnogram = annotations.read_hypnogram(labels) if labels.exists() else None
    return night_clips.of_recording(cohort / f"{name}.hdf5", hypnogram)


def test_a_store_is_its_nights(cohort: Path, store: Path) -> None:
    source = clips.open_store(store, "pretrain")
    assert source.nights == ("p0-a", "p1-a", "p1-b")
    assert source.subjects == ("p0", "p1", "p1")
    assert source.night_of.tolist() == [0] * 5 + [1] * 3 + [2] * 2
    assert source.stages.tolist() == [0, 1, 2, 3, 4, 0, -1, 4, -1, -1]
    assert (source.night_of.dtype, source.stages.dtype) == (np.int32, np.int8)
    expected = [7.0, 37.0, 67.0, 97.0, 127.0, 7.0, 37.0, 67.0, 0.0, 30.0]
    assert source.starts.tolist() == expected
    nights = [cut(cohort, name) for name in source.nights]
    places = [(night, k) for night in nights for k in range(len(night))]
    assert len(source) == len(places)
    for number, (night, k) in enumerate(places):
        clip = source[number]
        np.testing.assert_array_equal(clip.signals, night.signals[k])
        np.testing.assert_array_equal(clip.present, night.present[k])
        assert (clip.stage, clip.start, clip.night) == (
            night.stages[k],
            night.starts[k],
            night.name,
        )
        assert clip.signals.dtype == np.float16
        assert np.flatnonzero(clip.present).tolist() == [*small_clips.PLACES]


def test_numbers_have_bounds_and_may_be_numpy(store: Path) -> None:
    source = clips.open_store(store, "pretrain")
    assert [shard.records for shard in source.index.shards["pretrain"]] == [4, 4, 2]
    assert_same(source[np.int32(4)], source[4])
    for index in (-1, len(source)):
        with pytest.raises(IndexError, match=f"clip {index} of 10"):
            source[index]


def test_pickled_sources_and_threads_read_the_same(store: Path) -> None:
    source = clips.open_store(store, "pretrain")
    expected = [source[index] for index in range(len(source))]
    other = pickle.loads(pickle.dumps(source))
    order = [*range(len(source))] * 3
    with ThreadPoolExecutor(4) as pool:
        for index, clip in zip(order, pool.map(other.__getitem__, order), strict=True):
            assert_same(clip, expected[index])


def test_it_is_read_without_this_package_tensorflow_and_jax(store: Path) -> None:
    """By what docs/clips.md says; and what this package reads by imports nothing late."""
    program = f"""
import sys
sys.modules["sleepfm_jax"] = None
import numpy as np, tensorflow_datasets as tfds, zstandard
for record in tfds.builder_from_directory({str(store)!r}).as_data_source(split="pretrain"):
    low, high = np.frombuffer(zstandard.decompress(record["signals"]), np.uint8).reshape(2, -1)
    signals = np.stack([low, high], axis=1).reshape(-1).view("<f2").reshape(9, 7680)
    assert not signals[record["present"] == 0].any()
    print(float(signals.astype(np.float64).sum()), record["stage"], record["night"].decode())
del sys.modules["sleepfm_jax"]
from sleepfm_jax.input_pipeline import clips
source = clips.open_store({str(store)!r}, "pretrain")
before = set(sys.modules)
source[0]
assert before == set(sys.modules)
assert not {{"jax", "tensorflow"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    source = clips.open_store(store, "pretrain")
    for line, clip in zip(done.stdout.splitlines(), source, strict=True):
        total, stage, night = line.split()
        assert float(total) == pytest.approx(float(clip.signals.astype(np.float64).sum()))
        assert (int(stage), night) == (clip.stage, clip.night)


def test_each_kind_of_store_says_what_it_is(store: Path, tmp_path: Path) -> None:
    pack([small_nights.night(tmp_path / "n.hdf5")], tmp_path / "windows")
    with pytest.raises(
        InputError, match=r"holds windows \(windows.json\), not clips: .* clip made"
    ):
        clips.open_store(tmp_path / "windows")
    with pytest.raises(InputError, match=r"holds clips \(clips.json\), not windows: .* pack made"):
        windows.open_store(store)
    with pytest.raises(InputError, match=r"holds no clips.json: give a folder .* clip made"):
        clips.open_store(tmp_path)
    with pytest.raises(InputError, match="has no split 'train', only pretrain, test"):
        clips.open_store(store, "train")


def test_the_index_of_windows_is_what_it_always_was(tmp_path: Path) -> None:
    night = NightEntry("n", "s", "train", ("C3", "ECG"), 2, {"few": 1}, {"flat": 3})
    index = store_index.Index((night,), {"train": (Shard("f", 2, 0),)}, {"version": "1"})
    (tmp_path / "f").touch()
    store_index.write(tmp_path, WINDOWS, index)
    content = json.loads((tmp_path / "windows.json").read_text())
    digest = "ed07e6043152ec7778e51284d180ac0f6c957cff18c38eec5a9695034b969845"
    assert content.pop("sha256") == digest  # as of the version that knew no clips
    assert content == {
        "format": 1,
        "made_with": {"version": "1"},
        "nights": [
            {
                "name": "n",
                "subject": "s",
                "split": "train",
                "labels": ["C3", "ECG"],
                "windows": 2,
                "dropped": {"few": 1},
                "emptied": {"flat": 3},
            }
        ],
        "shards": {"train": [{"file": "f", "windows": 2, "size": 0}]},
    }
    assert store_index.read(tmp_path, WINDOWS) == index


@given(st.floats(0, 9e4), st.sets(st.integers(0, 40), min_size=1), st.data())
def test_times_come_back_from_the_index(
    begin: float, numbers: set[int], data: st.DataObject
) -> None:
    size = len(numbers)
    stages = data.draw(st.lists(st.integers(-1, 4), min_size=size, max_size=size))
    times = ClipTimes(begin, np.array(sorted(numbers)), np.array(stages, np.int8))
    found = ClipTimes.of(json.loads(json.dumps(times.content())))
    np.testing.assert_array_equal(found.starts, begin + 30.0 * np.array(sorted(numbers)))
    np.testing.assert_array_equal(found.stages, stages)
    assert found.stages.dtype == np.int8


def test_clips_of_another_store_are_noticed(tmp_path: Path) -> None:
    for name, stages in {"one": "W12", "other": "W13"}.items():
        small_clips.night(tmp_path / name / "n.hdf5", stages)
        splits = Splits(fractions=(1.0, 0.0, 0.0))
        pack_clips([tmp_path / name], tmp_path / f"store-{name}", splits=splits)
    target, other = tmp_path / "store-one", tmp_path / "store-other"
    (shard,) = target.glob("*array_record*")
    strange = (other / shard.name).read_bytes()
    assert len(strange) == shard.stat().st_size
    shard.write_bytes(strange)
    source = clips.open_store(target)
    assert [source[number].stage for number in (0, 1)] == [0, 1]
    with pytest.raises(InputError, match=r"is damaged in night n: .*its stage is another"):
        source[2]
