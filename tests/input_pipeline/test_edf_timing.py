"""Annotations are read as MNE reads them, and beyond what MNE keeps."""

from pathlib import Path

import mne
import numpy as np
import pytest

from sleepfm_jax.input_pipeline import edf, edf_timing
from sleepfm_jax.input_pipeline.edf_fields import EdfError
from tests.input_pipeline import edf_files

ANNOTATED = [
    "annotations/edfplus_events/demoEDFplus.edf",
    "edge/edfPlusD.edf",
    "edge/subsecond_starttime.edf",
    "psg/nox_a1_rsleep/subject1.edf",
]


@pytest.mark.parametrize("name", ANNOTATED)
def test_events_equal_mne(psg: Path, name: str) -> None:
    path = psg.parent / name
    if not path.exists():
        pytest.skip(f"{name} is not on this machine")
    theirs = mne.read_annotations(path)
    with edf.open_recording(path) as recording:
        ours = recording.annotations()
    expected = sorted(
        (float(a["onset"]), float(a["duration"]), str(a["description"])) for a in theirs
    )
    assert len(ours) == len(expected)
    for (onset, duration, text), (their_onset, their_duration, their_text) in zip(
        sorted(ours), expected, strict=True
    ):
        assert onset == pytest.approx(their_onset, abs=1e-9)
        assert duration == their_duration
        assert text.split("@@")[0] == their_text.split("@@")[0]


def test_hypnogram_files_hold_annotations_only(psg: Path) -> None:
    folder = psg.parent / "annotations" / "sleepedf_hypnograms"
    files = sorted(folder.glob("*.edf"))
    if not files:
        pytest.skip("the hypnograms (../shared/data/annotations) are not on this machine")
    for path in files:
        with edf.open_recording(path) as recording:
            assert recording.signals == ()
            assert recording.highest_rate == 0.0
            events = recording.annotations()
        theirs = mne.read_annotations(path)
        assert [e[0] for e in events] == theirs.onset.tolist()
        assert [e[1] for e in events] == theirs.duration.tolist()
        assert [e[2] for e in events] == theirs.description.tolist()


def test_events_keep_onset_duration_and_text(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    with edf.open_recording(path) as recording:
        assert recording.annotations() == [(1.0, 0.0, "N2"), (3.5, 1.25, "Arousal é")]


def test_one_list_may_hold_several_texts_in_latin1() -> None:
    channel = b"+5\x14\x14\0+6.5\x152\x14D\xe9but\x14Fin\x14\0\0\0"
    assert edf_timing.events([channel], 5.0) == [(1.5, 2.0, "Début"), (1.5, 2.0, "Fin")]


def test_time_of_a_record() -> None:
    times = edf_timing.record_times(
        [b"+0.25\x14\x14\0", b"-3\x14\x14\0\0", b"+7\x14Arousal\x14\0", b"\0\0\0\0", b""]
    )
    np.testing.assert_array_equal(times, [0.25, -3.0, np.nan, np.nan, np.nan])


def test_slow_drift_opens_a_gap_once_it_reaches_half_a_sample() -> None:
    times = np.arange(10) * 1.0019  # 1.9 ms late each second; 5 ms + 1 ms are allowed
    found = edf_timing.stretches(times, duration=1.0, highest_rate=100.0)
    assert [(s.first, s.stop) for s in found] == [(0, 4), (4, 8), (8, 10)]
    assert [s.start for s in found] == [0.0, times[4], times[8]]


@pytest.mark.parametrize("times", [[0, 1, 0.5], [0, 0, 0], [0, 5, 4]])
def test_records_may_not_overlap(times: list[float]) -> None:
    with pytest.raises(EdfError, match="overlap"):
        edf_timing.stretches(np.array(times, float), duration=1.0, highest_rate=100.0)
