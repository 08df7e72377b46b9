"""Annotations are read as MNE reads them, and beyond what MNE keeps."""

from pathlib import Path

import edfio
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


def test_events_are_sorted_and_impossible_onsets_left_out() -> None:
    endless = b"+" + b"9" * 400
    channels = [b"+9\x14Late\x14\0" + endless + b"\x14Never\x14\0", b"+2\x14Early\x14\0"]
    assert edf_timing.events(channels, 0.0) == [(2.0, 0.0, "Early"), (9.0, 0.0, "Late")]


def test_list_that_fills_its_record_does_not_run_into_the_next(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    for record, last in ((4, "A"), (11, "B")):
        start = 1024 + 248 * record + 220
        edf_files.put(path, start, f"+{record}\x14\x14\0".encode().ljust(13, b"\0"))
        edf_files.put(path, start + 13, f"+{record}.5\x14".encode().ljust(14, last.encode()))
        edf_files.put(path, start + 27, b"\x14")
    with edf.open_recording(path) as recording:
        texts = [(onset, text) for onset, _, text in recording.annotations() if text[0] in "AB"]
    assert [(onset, set(text)) for onset, text in texts[1:]] == [(4.5, {"A"}), (11.5, {"B"})]


def test_bdf_plus_tells_its_gaps(tmp_path: Path) -> None:
    path = tmp_path / "night.bdf"
    signal = edfio.BdfSignal(np.arange(40.0), 10, label="C3-M2", physical_range=(0, 100))
    events = [edfio.EdfAnnotation(2.5, 1.0, "Arousal")]
    edfio.Bdf([signal], data_record_duration=1, annotations=events).write(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"+3\x14\x14", b"+9\x14\x14"))
    edf_files.set_fixed(path, "reserved", "BDF+D")
    with edf.open_recording(path) as recording:
        assert recording.format == "BDF+D"
        assert recording.segments == ((0.0, 3.0), (9.0, 10.0))
        assert recording.annotations() == [(2.5, 1.0, "Arousal")]
        np.testing.assert_allclose(
            recording.read(recording.signals[0], 1), np.arange(30.0, 40.0), atol=1e-5
        )


def test_time_of_a_record() -> None:
    endless = b"+" + b"9" * 400 + b"\x14\x14\0"
    times = edf_timing.record_times(
        [b"+0.25\x14\x14\0", b"-3\x14\x14\0\0", b"+7\x14Arousal\x14\0", b"\0\0\0\0", b"", endless]
    )
    np.testing.assert_array_equal(times, [0.25, -3.0, np.nan, np.nan, np.nan, np.nan])


def test_slow_drift_opens_a_gap_once_it_reaches_half_a_sample() -> None:
    times = np.arange(10) * 1.0019  # 1.9 ms late each second; 5 ms + 1 ms are allowed
    found = edf_timing.stretches(times, duration=1.0, highest_rate=100.0)
    assert [(s.first, s.stop) for s in found] == [(0, 4), (4, 8), (8, 10)]
    assert [s.start for s in found] == [0.0, times[4], times[8]]


@pytest.mark.parametrize("times", [[0, 1, 0.5], [0, 0, 0], [0, 5, 4]])
def test_records_may_not_overlap(times: list[float]) -> None:
    with pytest.raises(EdfError, match="overlap"):
        edf_timing.stretches(np.array(times, float), duration=1.0, highest_rate=100.0)
