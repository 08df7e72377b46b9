"""EDF+ annotations: Sleep-EDF's hypnograms and one with events, equal to MNE's reading."""

from collections import Counter
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations
from sleepfm_jax.input_pipeline.annotations import Event
from tests.input_pipeline.annotation_formats.label_files import real, seconds

SLEEP_EDF = "annotations/sleepedf_hypnograms/"


def write(path: Path, *rows: tuple[float, float | None, str]) -> Path:
    edfio.Edf([], annotations=[edfio.EdfAnnotation(*row) for row in rows]).write(path)
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SC4001EC", {-1: 6900, 0: 59910, 1: 1740, 2: 7500, 3: 6600, 4: 3750}),
        ("SC4012EC", {-1: 960, 0: 54720, 1: 2760, 2: 19800, 3: 2880, 4: 5280}),
    ],
)
def test_sleep_edf(name: str, expected: dict[int, float]) -> None:
    path = real(f"{SLEEP_EDF}{name}-Hypnogram.edf")
    found = annotations.read(path)
    assert seconds(found.hypnogram) == expected
    assert found.events == ()
    texts = mne.read_annotations(path)
    deep = np.isin(texts.description, ["Sleep stage 3", "Sleep stage 4"])
    assert texts.duration[deep].sum() == expected[3]  # stage 4 joins N3


def test_stages_and_events_with_channels() -> None:
    found = annotations.read(real("annotations/edfplus_events/demoEDFplus.edf"))
    assert seconds(found.hypnogram) == {0: 57180, 1: 2910, 2: 5820, 3: 6840, 4: 2790}
    assert Counter((event.kind, event.channel) for event in found.events) == {
        ("arousal", "EEG Fpz-Cz"): 124,
        ("hypopnea", "Resp nasal"): 67,
        ("obstructive apnea", "Resp nasal"): 18,
        ("lights off", "EEG F3-M2"): 1,
        ("lights on", "EEG F3-M2"): 1,
    }
    assert found.events[-1] == Event(68358.35, 0.0, "lights on", "Lights on", "EEG F3-M2")


def test_movement_is_unscored_and_a_stage_without_duration_lasts_to_the_next(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path / "night.edf",
        (0, None, "Sleep stage W"),
        (45, None, "Movement time"),
        (60, None, "N2"),
    )
    hypnogram = annotations.read_hypnogram(path)
    np.testing.assert_array_equal(hypnogram.stages, [0, -1, 2])
    np.testing.assert_array_equal(hypnogram.stops, [45, 60, 90])


def test_a_recording_without_stages(tmp_path: Path) -> None:
    path = write(tmp_path / "night.edf", (3, 2, "Arousal é"))
    assert annotations.read(path).events == (Event(3.0, 2.0, "arousal", "Arousal é", None),)
    with pytest.raises(InputError, match=r"night\.edf holds no sleep stages"):
        annotations.read_hypnogram(path)


def test_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "night.edf", (0, 30, "Sleep stage 7"))
    with pytest.raises(InputError, match=r"night\.edf holds the stage 'Sleep stage 7'"):
        annotations.read(path)
