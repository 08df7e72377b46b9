"""What is written is in the published layout, whole or absent."""

import errno
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.recordings import Quality, Signal, open_recording, write

QUALITY = Quality(flat=0.25, clipped=0.5, missing=0.125)


def signal_of(label: str, samples: np.ndarray, modality: Modality = Modality.BAS) -> Signal:
    return Signal(label, modality, samples.astype(np.float16), 256.0, "uV", QUALITY)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal(count).astype(np.float16)


def test_the_layout_is_the_published_one(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "night.hdf5"
    samples = noise(2 * 38400 + 77)
    write(path, [signal_of("C3-M2", samples), signal_of("ECG", noise(100))], {})
    with h5py.File(path) as file:  # nothing but h5py and its own filters
        dataset = file["C3-M2"]
        assert dataset.dtype == np.float16
        assert dataset.chunks == (38400,)
        assert dataset.compression == "gzip"
        np.testing.assert_array_equal(dataset[:], samples)
        np.testing.assert_array_equal(dataset[38390:38410], samples[38390:38410])
        assert len(file["ECG"]) == 100


@pytest.mark.parametrize("threads", [1, 3])
@given(
    counts=st.lists(st.sampled_from([1, 640, 38399, 38400, 38401, 80000]), min_size=1, max_size=4)
)
@settings(max_examples=15, deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, threads: int, counts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("written") / "night.hdf5"
    written = {f"C{i}": noise(count) for i, count in enumerate(counts)}
    write(path, (signal_of(label, x) for label, x in written.items()), {}, threads)
    with h5py.File(path) as file:
        assert list(file) == list(written)
        for label, samples in written.items():
            np.testing.assert_array_equal(file[label][:], samples)


def test_attributes_say_what_a_name_cannot(tmp_path: Path) -> None:
    path = tmp_path / "night.hdf5"
    provenance = {"source": "night.edf", "duration": 12.5, **{f"more {i}": "x" for i in range(20)}}
    write(path, [signal_of("SpO2/Finger é", noise(640), Modality.RESP)], provenance)
    with h5py.File(path) as file:
        (name,) = file
        assert "/" not in name
        assert dict(file[name].attrs) == {
            "label": "SpO2/Finger é",
            "modality": "RESP",
            "source_rate": 256.0,
            "unit": "uV",
            "flat": 0.25,
            "clipped": 0.5,
            "missing": 0.125,
        }
        assert dict(file.attrs) == {**provenance, "format": 1, "rate": 128}
    with open_recording(path) as recording:
        assert recording.labels == ("SpO2/Finger é",)


def test_signals_are_taken_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "night.hdf5"
    seen = []

    def signals() -> Iterator[Signal]:
        for label in ("a", "b", "c"):
            seen.append(label)
            yield signal_of(label, noise(640))
            assert seen[-1] == label

    write(path, signals(), {})
    assert seen == ["a", "b", "c"]


def test_a_failing_source_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "night.hdf5"
    write(path, [signal_of("old", noise(640))], {})

    def signals() -> Iterator[Signal]:
        yield signal_of("new", noise(38400 * 3))
        raise InputError("the source broke")

    with pytest.raises(InputError, match="the source broke"):
        write(path, signals(), {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["night.hdf5"]
    with h5py.File(path) as file:
        assert list(file) == ["old"]


def test_errors_that_are_not_the_disk_s_are_not_called_so(tmp_path: Path) -> None:
    def signals() -> Iterator[Signal]:
        yield signal_of("new", noise(640))
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        write(tmp_path / "night.hdf5", signals(), {})
    assert not list(tmp_path.iterdir())


def test_no_signal_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would hold no channel"):
        write(tmp_path / "night.hdf5", [], {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("room", [1000, 200_000, 1_000_000])
def test_a_full_disk_ends_in_one_sentence(tmp_path: Path, room: int) -> None:
    """A limit on file size stands for the disk's; HDF5 meets both in the same place."""
    path = tmp_path / "night.hdf5"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(InputError) as caught:
            write(path, (signal_of(f"C{i}", noise(38400 * 10)) for i in range(5)), {}, threads=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(caught.value) == (
        f"{path} cannot be written (File too large): make room on the disk or write elsewhere, "
        "then run this again"
    )
    assert not list(tmp_path.iterdir())


def test_no_space_left_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(
        InputError, match=r"cannot be written \(No space left on device\): make room"
    ):
        write(tmp_path / "night.hdf5", [signal_of("C3", noise(640))], {})


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory|File exists\)"):
        write(tmp_path / "file" / "night.hdf5", [signal_of("C3", noise(640))], {})
