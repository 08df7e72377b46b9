"""A store holds what the recordings hold, in order, for whoever opens it and however."""

import dataclasses
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import sample_codec, windows
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.store_kinds import WINDOWS
from sleepfm_jax.jobs.pack import pack
from tests.input_pipeline import small_nights
from tests.input_pipeline.test_recording_windows import assert_same

SPLITS = Splits(published={"p0-a": "train", "p0-b": "test", "p1-a": "train", "p1-b": "train"})


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_nights.cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def store(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In shards small enough that nights lie across their borders."""
    path = tmp_path_factory.mktemp("store") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sleepfm_jax.jobs.pack.WINDOWS", dataclasses.replace(WINDOWS, most=3))
        pack([cohort], path, splits=SPLITS)
    return path


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_store_is_its_recordings(cohort: Path, store: Path, split: str) -> None:
    packed = windows.open_store(store, split)
    plain = windows.open_recordings([cohort], split, SPLITS)
    assert packed.nights == plain.nights
    np.testing.assert_array_equal(packed.night_of, plain.night_of)
    assert packed.night_of.dtype == np.int32
    assert len(packed) == len(plain) > 0
    for index in range(len(packed)):
        assert_same(packed[index], plain[index])
        assert packed[index].signals.dtype == np.float16
        assert packed[index].modality.dtype == np.int8


def test_the_training_split_has_several_shards(store: Path) -> None:
    assert [shard.records for shard in windows.open_store(store).index.shards["train"]] == [3, 3]


def test_numbers_may_be_numpy_and_have_bounds(store: Path) -> None:
    source = windows.open_store(store)
    assert_same(source[np.int32(3)], source[3])
    for index in (-1, len(source)):
        with pytest.raises(IndexError):
            source[index]


def test_pickled_sources_and_threads_read_the_same(store: Path) -> None:
    source = windows.open_store(store)
    expected = [source[index] for index in range(len(source))]
    other = pickle.loads(pickle.dumps(source))
    order = [*range(len(source))] * 5
    with ThreadPoolExecutor(4) as pool:
        for index, window in zip(order, pool.map(other.__getitem__, order), strict=True):
            assert_same(window, expected[index])


def test_what_is_read_is_no_other_reader_s(store: Path) -> None:
    source = windows.open_store(store)
    source[0].signals[:] = 0
    assert source[0].signals.any()


def test_tfds_opens_a_store_by_itself(store: Path) -> None:
    """Without this package and without TensorFlow, by what TFDS's own description says."""
    program = f"""
import sys
sys.modules["sleepfm_jax"] = None
import numpy as np, tensorflow_datasets as tfds, zstandard
builder = tfds.builder_from_directory({str(store)!r})
for record in builder.as_data_source(split="test"):
    low, high = np.frombuffer(zstandard.decompress(record["signals"]), np.uint8).reshape(2, -1)
    signals = np.stack([low, high], 1).reshape(-1).view("<f2").reshape(-1, 38400)
    assert len(signals) == len(record["modality"]) == len(record["labels"])
    print(float(signals.astype(np.float64).sum()))
assert "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    source = windows.open_store(store, "test")
    expected = [float(window.signals.astype(np.float64).sum()) for window in source]
    np.testing.assert_allclose([float(line) for line in done.stdout.split()], expected)


def test_records_say_all_there_is_to_know(store: Path) -> None:
    builder = tfds.builder_from_directory(str(store))
    source = windows.open_store(store)
    for record, window in zip(builder.as_data_source(split="train"), source, strict=True):
        assert record["night"].decode() == record["subject"].decode() == window.night
        assert [label.decode() for label in record["labels"]] == [*window.labels]
        assert record["modality"].tolist() == window.modality.tolist()
        assert (record["start"], record["patches"]) == (window.start, window.patches)
        assert record["rate"] == 128
        assert not record["flat"].any()
        assert not record["missing"].any()
        decoded = sample_codec.decode(record["signals"], len(window.labels), windows.SAMPLES)
        np.testing.assert_array_equal(decoded, window.signals)
    assert builder.info.metadata["counts"]["windows"] == 8
    assert builder.info.splits["train"].num_examples == len(source) == 6


def test_reading_needs_neither_tensorflow_nor_jax(store: Path) -> None:
    program = f"""
import sys
from sleepfm_jax.input_pipeline import windows
print(windows.open_store({str(store)!r})[0].patches, *({{"jax", "tensorflow"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.split(), done.returncode) == (["60"], 0), done.stderr


def test_reading_imports_nothing(cohort: Path, store: Path) -> None:
    """Many threads read at once; two that import one library can wait for each other for ever."""
    program = f"""
import sys
from sleepfm_jax.input_pipeline import windows
for source in windows.open_store({str(store)!r}), windows.open_recordings([{str(cohort)!r}]):
    before = set(sys.modules)
    print(source[0].patches, *set(sys.modules) - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.split(), done.returncode) == (["60", "60"], 0), done.stderr


def test_an_absent_split_or_store_is_one_sentence(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no split 'validation', only train, test"):
        windows.open_store(store, "validation")
    with pytest.raises(InputError, match=r"holds no windows.json: give a folder that sleepfm-jax"):
        windows.open_store(tmp_path)
