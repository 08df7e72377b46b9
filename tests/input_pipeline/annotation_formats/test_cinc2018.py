"""CinC 2018: the WFDB annotations and the MATLAB file of one record say the same stages."""

import shutil
import struct
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations
from tests.input_pipeline.annotation_formats.label_files import real, seconds

SCORED = {0: 11035, 1: 1740, 2: 8010, 3: 2160, 4: 2430}  # seconds of the one-hot arrays at 200 Hz
RECORD = "annotations/cinc2018/tr03-0005"


def test_wfdb_annotations_of_a_real_night() -> None:
    found = annotations.read(real(f"{RECORD}.arousal"))
    assert seconds(found.hypnogram) == SCORED
    assert Counter(event.text for event in found.events) == {
        "arousal_rera": 27,
        "resp_centralapnea": 20,
        "resp_hypopnea": 14,
        "resp_obstructiveapnea": 9,
    }
    assert all(event.duration > 0 for event in found.events)


def test_the_matlab_file_of_a_real_night() -> None:
    found = annotations.read(real(f"{RECORD}-arousal.mat"))
    assert seconds(found.hypnogram) == {-1: 360, **SCORED}
    assert {event.kind for event in found.events} == {"arousal"}
    assert sum(event.duration for event in found.events) == pytest.approx(186027 / 200)


def test_both_say_the_same_of_every_step() -> None:
    wfdb, matlab = (
        annotations.read_hypnogram(real(name))
        for name in (f"{RECORD}.arousal", f"{RECORD}-arousal.mat")
    )
    steps = wfdb.steps(5200)
    np.testing.assert_array_equal(steps, matlab.steps(5200))
    assert (steps >= 0).sum() == sum(SCORED.values()) / 5


def test_without_a_header_the_last_stage_lasts_an_epoch(tmp_path: Path) -> None:
    shutil.copy(real(f"{RECORD}.arousal"), tmp_path / "other name")
    alone = annotations.read_hypnogram(tmp_path / "other name")
    whole = annotations.read_hypnogram(real(f"{RECORD}.arousal"))
    assert alone.stops[-1] == alone.starts[-1] + 30
    np.testing.assert_array_equal(alone.starts, whole.starts)


def words(*notes: tuple[int, str]) -> bytes:
    """WFDB annotations by the layout's description: samples since the last one, and a text."""
    content = b""
    for interval, text in notes:
        skip = struct.pack("<HhH", 59 << 10, interval >> 16, interval & 0xFFFF)
        note = text.encode() + b"\0" * (len(text) % 2)
        content += skip + struct.pack("<HH", 22 << 10, 63 << 10 | len(text)) + note
    return content + b"\0\0"


def test_rate_and_length_come_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "rec.arousal"
    path.write_bytes(words((0, "W"), (3000, "N1"), (100000, "R"), (-50, "(arousal_x")))
    with pytest.raises(InputError, match=r"rec\.arousal does not tell its rate"):
        annotations.read(path)
    (tmp_path / "rec.hea").write_text(
        "# comment\nrec 1 100/50(0) 200000\nrec.mat 16 1 16 0 0 0 0 C3\n"
    )
    found = annotations.read(path)
    assert seconds(found.hypnogram) == {0: 30, 1: 1000, 4: 970}
    assert [(e.start, e.duration, e.text) for e in found.events] == [(1029.5, 0.0, "arousal_x")]
    (tmp_path / "rec.hea").write_text("rec one hundred\n")
    with pytest.raises(InputError, match=r"rec\.hea is no WFDB header"):
        annotations.read(path)


@pytest.mark.parametrize("end", range(1, 40, 3))
def test_cut_annotations_are_no_annotations(tmp_path: Path, end: int) -> None:
    path = tmp_path / "rec.arousal"
    path.write_bytes(words((0, "W"), (3000, "N1"), (3000, "N2"), (3000, "R"))[:-end])
    with pytest.raises(InputError, match=r"rec\.arousal is in no format"):
        annotations.read(path)


def one_hot(path: Path, **changes: np.ndarray) -> Path:
    names = ("wake", "nonrem1", "nonrem2", "nonrem3", "rem", "undefined")
    with h5py.File(path, "w", userblock_size=512) as file:
        file["data/arousals"] = np.zeros((6000, 1))
        for number, name in enumerate(names):
            hot = np.zeros((1, 6000), np.uint8)
            hot[0, number * 1000 : (number + 1) * 1000] = 1
            file[f"data/sleep_stages/{name}"] = changes.get(name, hot)
    return path


def test_matlab_files_that_cannot_be(tmp_path: Path) -> None:
    good = one_hot(tmp_path / "good.mat")
    assert seconds(annotations.read(good).hypnogram) == dict.fromkeys((0, 1, 2, 3, 4, -1), 5.0)
    both = one_hot(tmp_path / "both.mat", rem=np.ones((1, 6000), np.uint8))
    with pytest.raises(InputError, match=r"both\.mat holds two stages at one time"):
        annotations.read(both)
    short = one_hot(tmp_path / "short.mat", rem=np.ones((1, 5999), np.uint8))
    with pytest.raises(InputError, match=r"short\.mat holds stages of different lengths"):
        annotations.read(short)
    with h5py.File(tmp_path / "night.hdf5", "w") as file:
        file["C3"] = np.zeros(10)
    with pytest.raises(InputError, match=r"night\.hdf5 holds no sleep stages .*not a recording"):
        annotations.read(tmp_path / "night.hdf5")
    good.write_bytes(good.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"good\.mat holds no sleep stages"):
        annotations.read(good)
