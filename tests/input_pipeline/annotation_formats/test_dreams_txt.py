"""DREAMS text: stages equal to the hypnogram that the recording holds as a signal; spindles."""

from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, edf
from sleepfm_jax.input_pipeline.annotations import Event
from tests.input_pipeline.annotation_formats.label_files import real, seconds

FOLDER = "psg/dreams_excerpt3/"


def test_the_hypnogram_of_a_real_night() -> None:
    hypnogram = annotations.read_hypnogram(real(f"{FOLDER}Hypnogram_excerpt3.txt"))
    assert seconds(hypnogram) == {0: 32 * 5, 1: 88 * 5, 2: 224 * 5, 3: 16 * 5}


def test_it_is_the_hypnogram_in_the_recording() -> None:
    hypnogram = annotations.read_hypnogram(real(f"{FOLDER}Hypnogram_excerpt3.txt"))
    with edf.open_recording(real(f"{FOLDER}excerpt3.edf")) as recording:
        signal = next(s for s in recording.signals if "hyp" in s.label.casefold())
        codes = np.rint(recording.read(signal)).astype(int)
    middles = codes[((np.arange(360) + 0.5) * 5 * signal.rate).astype(int)]
    meaning = np.array([3, 3, 2, 1, 4, 0])  # S4, S3, S2, S1, REM, Wake
    np.testing.assert_array_equal(hypnogram.steps(360), meaning[middles])


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("Visual_scoring1", 5, Event(500.22, 1.07, "spindle", "vis1_Spindles", "C3-A1")),
        ("Visual_scoring2", 44, Event(297.86, 1.0, "spindle", "vis2_Spindles", "C3-A1")),
        ("Automatic_detection", 39, Event(78.76, 0.6, "spindle", "Spindles", "C3-A1")),
    ],
)
def test_the_spindles_of_a_real_night(name: str, count: int, first: Event) -> None:
    found = annotations.read(real(f"{FOLDER}{name}_excerpt3.txt"))
    assert found.hypnogram is None
    assert len(found.events) == count
    assert found.events[0] == first


def test_movement_is_unscored_and_stages_3_and_4_are_n3(tmp_path: Path) -> None:
    path = tmp_path / "h.txt"
    path.write_text("[hypnogram]\n5\n-1\n-3\n1\n0\n4\n")
    np.testing.assert_array_equal(annotations.read_hypnogram(path).stages, [0, -1, -1, 3, 3, 4])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[Hypnogram]\n5\n6\n", "holds the stage '6'.*DREAMS has 5 Wake"),
        ("[Hypnogram]\n5\n2\n2.5\n", "holds the stage '2.5'"),
        ("[Hypnogram]\n5\n2\nwake\n", "holds the stage 'wake'"),
        ("[Spindles/C3]\n5.0\t1.0\n6.0\n", "holds the line '6.0'"),
        ("[Spindles/C3]\n5.0\t-1.0\n", "holds 'Spindles' at 5 s for -1 s"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "h.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"h\.txt {words}"):
        annotations.read(path)
