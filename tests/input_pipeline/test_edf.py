"""Recordings are read value for value as MNE reads them, and gaps stand where they were."""

import dataclasses
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.input_pipeline import edf
from tests.input_pipeline import edf_files

HEALTHY = [
    "psg/cap_brux2_crop/sample.edf",
    "psg/dreams_excerpt3/excerpt3.edf",
    "psg/nox_a1_rsleep/subject1.edf",
    "psg/sleep_edf_short/short_psg.bdf",
    "psg/sleep_edf_short/short_psg.edf",
    "edge/bad_date_with_data.edf",
    "edge/duplicate_channel_labels.edf",
    "edge/edfcore_edf-asymmetric.edf",
    "edge/edfcore_edf-narrow-digital.edf",
    "edge/edfcore_edf-negative-gain.edf",
    "edge/edfPlusD.edf",
    "edge/subsecond_starttime.edf",
    "edge/test_uneven_samp.edf",
]


def whole(recording: edf.EdfRecording, signal: edf.EdfSignal) -> np.ndarray:
    return np.concatenate([recording.read(signal, i) for i in range(len(recording.segments))])


def assert_equal_to_mne(path: Path) -> None:
    read_raw = mne.io.read_raw_bdf if path.suffix == ".bdf" else mne.io.read_raw_edf
    names = read_raw(path, verbose="error").ch_names
    with edf.open_recording(path) as recording:
        assert len(names) == len(recording.signals)
        for position, signal in enumerate(recording.signals):
            others = [other for i, other in enumerate(names) if i != position]
            # alone, a channel keeps its own rate in MNE
            raw = read_raw(path, exclude=others, exclude_after_unique=True, verbose="error")
            ours = whole(recording, signal)
            volts = {"uV": 1e-6, "mV": 1e-3}.get(signal.unit, 1.0)
            assert raw.info["sfreq"] == signal.rate
            assert ours.size == signal.samples
            np.testing.assert_array_equal(ours * volts, raw.get_data()[0])


@pytest.mark.parametrize("name", HEALTHY)
def test_values_are_bit_equal_to_mne(psg: Path, name: str) -> None:
    assert_equal_to_mne(psg.parent / name)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("physical maximum", "-250"),  # the physical minimum: no range
        ("digital maximum", "-32768"),  # the digital minimum: no range
        ("physical maximum", "-900"),  # inverted
        ("digital minimum", "70000"),  # beyond the integers, and inverted
        ("physical maximum", "1,5e2"),
    ],
)
def test_odd_limits_are_scaled_as_mne_does(tmp_path: Path, field: str, text: str) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    edf_files.set_signal(path, 0, field, text)
    if "e" in text:  # MNE reads the comma too
        assert edf.open_recording(path).signals[0].physical_max == 150.0
    assert_equal_to_mne(path)


def test_extremes_of_24_bit_keep_their_sign(tmp_path: Path) -> None:
    path = tmp_path / "night.bdf"
    extremes = [-(2**23), -1, 0, 1, 2**23 - 1]
    limits = {"physical_range": (-(2**23), 2**23 - 1), "digital_range": (-(2**23), 2**23 - 1)}
    edfio.Bdf([edfio.BdfSignal(np.array(extremes, float), 5, label="C3-M2", **limits)]).write(path)
    with edf.open_recording(path) as recording:
        assert recording.format == "BDF"
        assert recording.read(recording.signals[0]).tolist() == extremes


def test_24_bit_values_agree_with_the_16_bit_ones(psg: Path) -> None:
    folder = psg / "sleep_edf_short"
    with (
        edf.open_recording(folder / "short_psg.bdf") as fine,
        edf.open_recording(folder / "short_psg.edf") as coarse,
    ):
        for a, b in zip(fine.signals, coarse.signals, strict=True):
            assert (a.label, a.rate, a.unit) == (b.label, b.rate, b.unit)
            np.testing.assert_array_equal(fine.read(a), coarse.read(b))


def test_header_of_a_real_night(psg: Path) -> None:
    with edf.open_recording(psg / "dreams_excerpt3" / "excerpt3.edf") as recording:
        assert recording.format == "EDF"
        assert recording.duration == 1800.0
        assert recording.segments == ((0.0, 1800.0),)
        assert recording.highest_rate == 50.0
        assert recording.signals[0] == edf.EdfSignal(
            0, "O1-A1", 50.0, 90000, "UV", -730.0, 503.0, -72984, 50277
        )
        assert [s.rate for s in recording.signals if s.label == "hypnogram"] == [1.0]


def test_labels_are_utf8_then_latin1(psg: Path, tmp_path: Path) -> None:
    with edf.open_recording(psg / "nox_a1_rsleep" / "subject1.edf") as recording:
        assert recording.signals[1].label == "1 Impédance"
        assert recording.signals[0].index == 1  # the annotation channel stands before it
    path = edf_files.write(tmp_path / "night.edf")
    edf_files.set_signal(path, 0, "label", "Débit".encode("latin-1"))
    edf_files.set_signal(path, 0, "unit", "µV".encode("latin-1"))
    edf_files.set_signal(path, 1, "label", b"Flow\x1b[2J\0junk")
    with edf.open_recording(path) as recording:
        assert [s.label for s in recording.signals] == ["Débit", "Flow\ufffd[2J"]
        assert recording.signals[0].unit == "µV"


def test_duplicate_labels_are_kept_apart(edge: Path) -> None:
    with edf.open_recording(edge / "duplicate_channel_labels.edf") as recording:
        assert [s.label for s in recording.signals] == ["EEG F1-Ref", "EEG F2-Ref", "EEG F1-Ref"]
        assert [s.index for s in recording.signals] == [0, 1, 2]


def test_gaps_stand_at_their_true_times(edge: Path) -> None:
    """The file's one-second records begin at 0, 2, 4, 5, 6, 7, 8, 9, 12, 15 and 19 s."""
    with edf.open_recording(edge / "edfPlusD.edf") as recording:
        assert recording.format == "EDF+D"
        assert recording.segments == (
            (0.0, 1.0),
            (2.0, 3.0),
            (4.0, 10.0),
            (12.0, 13.0),
            (15.0, 16.0),
            (19.0, 20.0),
        )
        assert recording.duration == 20.0
        sizes = [recording.read(recording.signals[0], i).size for i in range(6)]
        assert sizes == [200, 200, 1200, 200, 200, 200]


@settings(max_examples=60, deadline=None)
@given(gaps=st.lists(st.sampled_from([0.0, 0.0, 0.25, 1.0, 3600.0]), min_size=11, max_size=11))
def test_every_record_is_found_at_the_time_it_tells(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[float]
) -> None:
    path = edf_files.write(tmp_path_factory.mktemp("gaps") / "night.edf")
    with edf.open_recording(path) as recording:
        records = whole(recording, recording.signals[0]).reshape(12, 100)
    times = np.arange(12) + np.concatenate([[0.0], np.cumsum(gaps)])
    edf_files.set_times(path, [f"+{0.5 + time:.3f}" for time in times])
    edf_files.set_fixed(path, "reserved", "EDF+D")
    with edf.open_recording(path) as recording:
        assert len(recording.segments) == 1 + np.count_nonzero(gaps)
        assert recording.duration == times[-1] + 1
        found = {}
        for i, (start, stop) in enumerate(recording.segments):
            values = recording.read(recording.signals[0], i)
            assert values.size == (stop - start) * 100
            found |= {start + k: row for k, row in enumerate(values.reshape(-1, 100))}
    assert sorted(found) == times.tolist()
    np.testing.assert_array_equal([found[time] for time in times], records)


def test_rounded_times_are_no_gaps(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    jitter = [0, 0.004, -0.003, 0.005, 0, -0.004, 0.001, 0.005, 0, 0, 0, 0.005]
    edf_files.set_times(path, [f"+{i + late:.3f}" for i, late in enumerate(jitter)])
    edf_files.set_fixed(path, "reserved", "EDF+D")
    assert edf.open_recording(path).segments == ((0.0, 12.0),)


def test_times_decide_whatever_the_header_promises(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    edf_files.set_times(path, [f"+{i + 5 * (i > 3)}" for i in range(12)])
    assert edf.open_recording(path).format == "EDF+C"
    assert edf.open_recording(path).segments == ((0.0, 4.0), (9.0, 17.0))


def test_continuous_file_may_leave_times_out(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    edf_files.set_times(path, ["+0", "", *[f"+{i}" for i in range(2, 12)]])
    assert edf.open_recording(path).segments == ((0.0, 12.0),)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_blocks_of_any_size_give_the_same_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    with edf.open_recording(path) as recording:
        at_once = [whole(recording, signal) for signal in recording.signals]
        monkeypatch.setattr(edf, "BLOCK_BYTES", 248 * width)  # 248 bytes are a record
        for signal, values in zip(recording.signals, at_once, strict=True):
            np.testing.assert_array_equal(whole(recording, signal), values)


def test_reads_from_many_threads(psg: Path) -> None:
    with (
        edf.open_recording(psg / "dreams_excerpt3" / "excerpt3.edf") as recording,
        ThreadPoolExecutor(8) as pool,
    ):
        alone = [recording.read(signal) for signal in recording.signals]
        for _ in range(3):
            together = pool.map(recording.read, recording.signals)
            for a, b in zip(alone, together, strict=True):
                np.testing.assert_array_equal(a, b)


def test_memory_is_the_result_and_a_block(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    fast = edfio.EdfSignal(np.zeros(512 * 20_000), 512, label="C3-M2", physical_range=(-1, 1))
    slow = edfio.EdfSignal(np.zeros(20_000), 1, label="SpO2", physical_range=(0, 1))
    edfio.Edf([fast, slow]).write(path)  # 20 MB
    with edf.open_recording(path) as recording:
        for signal, result in zip(recording.signals, (8 * 512 * 20_000, 8 * 20_000), strict=True):
            tracemalloc.start()
            recording.read(signal)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < result + 2 * edf.BLOCK_BYTES


def test_nothing_personal_comes_out(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    with edf.open_recording(path) as recording:
        public = {
            name: getattr(recording, name)
            for name in dir(recording)
            if not name.startswith("_") and not callable(getattr(recording, name))
        }
        told = repr(public) + repr(recording.annotations())
        header = repr(dataclasses.asdict(recording._header))
    assert "C3-M2" in told
    for secret in ("CODE77", "Doe", "1957", "MAR", "2003", "NOV", "17.11", "23.27", "Somnoscope9"):
        assert secret not in told + header
