"""Clips begin where scoring begins, hold what was recorded then, and say what they lack."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import edfio
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, night_clips, source_files
from sleepfm_jax.input_pipeline.clips import CHANNELS, RATE, SAMPLES, Rule
from sleepfm_jax.input_pipeline.hypnogram import Hypnogram
from sleepfm_jax.input_pipeline.night_clips import NightClips, of_recording
from tests.conftest import SHARED
from tests.input_pipeline import small_nights, wfdb_records
from tests.input_pipeline.recording_in_memory import SECONDS, InMemory

PLACE = {place: number for number, place in enumerate(CHANNELS)}


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[..., NightClips]:
    """`of_recording` of what is in memory."""

    def of(recording: InMemory, hypnogram: Hypnogram | None = None, **how: object) -> NightClips:
        monkeypatch.setattr(source_files, "open_recording", lambda _: recording)
        return of_recording("folder/night.edf", hypnogram, **how)

    return of


def noise(rate: float, seconds: float = SECONDS, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(rate * seconds))


def one(label: str, rate: float, samples: np.ndarray) -> InMemory:
    return InMemory({label: (rate, [samples])})


def scored(begin: float, stages: list[int]) -> Hypnogram:
    """Epochs that follow each other from a time on."""
    hypnogram = Hypnogram.of_epochs(np.array(stages))
    return dataclasses.replace(
        hypnogram, starts=hypnogram.starts + begin, stops=hypnogram.stops + begin
    )


def test_a_real_night_is_cut_from_its_first_scored_sample(cut: Callable[..., NightClips]) -> None:
    """Of PhysioNet/CinC 2018: 5147000 samples at 200 Hz, scored from sample 71999 on."""
    path = SHARED / "data" / "annotations" / "cinc2018" / "tr03-0005-arousal.mat"
    if not path.is_file():
        pytest.skip("the real labels are not on this machine")
    seconds = 5147000 / 200
    spo2 = 95 + np.arange(round(seconds)) % 3.0  # 1 Hz
    recording = InMemory({"SaO2": (1.0, [spo2])}, ((0.0, seconds),))
    night = cut(recording, annotations.read_hypnogram(path))
    assert night.name == "night"
    assert night.starts[0] == 71999 / 200
    assert len(night) == 845
    np.testing.assert_allclose(np.diff(night.starts), 30.0)
    assert np.bincount(night.stages + 1).tolist() == [0, 367, 58, 267, 72, 81]


@pytest.mark.parametrize("begin", [4.0, 5.995, 7.0])
def test_samples_stand_at_their_times(cut: Callable[..., NightClips], begin: float) -> None:
    """Of channels of every rate; a wave of 0.5 Hz is late where its samples are."""
    channels = {}
    for place, rate in zip(CHANNELS, (10, 4, 32, 100, 128, 200, 256, 500, 512), strict=True):
        channels[place] = (float(rate), [np.sin(np.pi * np.arange(rate * SECONDS) / rate)])
    night = cut(InMemory(channels), scored(begin, [0, 1, 2]), scale="none")
    assert night.signals.shape == (3, 9, SAMPLES)
    assert night.signals.dtype == np.float16
    assert night.present.all()
    assert night.labels == CHANNELS
    assert night.stages.tolist() == [0, 1, 2]
    times = night.starts[:, None] + np.arange(SAMPLES) / RATE  # (3, 7680)
    late = 0.5 / RATE * np.pi + 0.003
    assert np.abs(night.signals - np.sin(np.pi * times)[:, None]).max() < late
    exact = PLACE["O1-M2"]  # 200 Hz, of which every begin is a whole sample
    assert np.abs(night.signals[:, exact] - np.sin(np.pi * times)).max() < 0.002


def test_a_channel_has_no_mean_and_unit_deviation_over_its_clips(
    cut: Callable[..., NightClips],
) -> None:
    samples = 3e-5 * noise(200) + 1.0
    samples[: 5 * 200] = 1e6  # before what is scored
    night = cut(one("C3-A2", 200.0, samples), scored(5.0, [0, 1, 2]))
    kept = night.signals[:, PLACE["C3-M2"]].astype(np.float64)
    assert abs(kept[1:].mean()) < 0.05
    assert kept.std() == pytest.approx(1, abs=1e-3)
    plain = cut(one("C3-A2", 200.0, samples), scored(5.0, [0, 1, 2]), scale="none")
    assert plain.signals[1, PLACE["C3-M2"]].mean() == pytest.approx(1.0, abs=1e-3)


def test_unscored_epochs_within_stay_and_those_around_are_cut_off(
    cut: Callable[..., NightClips],
) -> None:
    recording = InMemory({"ECG": (64.0, [noise(64, 150)])}, ((0.0, 150.0),))
    night = cut(recording, scored(0.0, [-1, 2, -1, 3, -1]))
    assert night.starts.tolist() == [30.0, 60.0, 90.0]
    assert night.stages.tolist() == [2, -1, 3]
    assert night.present[:, PLACE["ECG"]].all()


@pytest.mark.parametrize(
    ("begin", "starts"),
    [
        (-40.0, [20.0, 50.0]),  # the scorer's epochs, which began before the recording
        (25.0, [25.0, 55.0]),  # and which end after it
        (None, [0.0, 30.0, 60.0]),  # no labels: the whole recording from its start
    ],
)
def test_epochs_lie_within_the_recording(
    cut: Callable[..., NightClips], begin: float | None, starts: list[float]
) -> None:
    hypnogram = None if begin is None else scored(begin, [0, 1, 2, 3])
    night = cut(one("ECG", 64.0, noise(64)), hypnogram)
    assert night.starts.tolist() == starts
    assert (night.stages == -1).all() == (begin is None)


def test_a_hypnogram_without_a_stage_is_none(cut: Callable[..., NightClips]) -> None:
    night = cut(one("ECG", 64.0, noise(64)), scored(7.0, [-1, -1]))
    assert night.starts.tolist() == [0.0, 30.0, 60.0]


def test_a_clip_that_touches_a_gap_lacks_its_samples(cut: Callable[..., NightClips]) -> None:
    """Clips lie on one grid; what follows the gap stands at its true time."""
    rate, segments = 100.0, ((0.0, 50.0), (58.5, 150.0))
    times = [start + np.arange(round((stop - start) * rate)) / rate for start, stop in segments]
    recording = InMemory(
        {"ECG": (rate, [np.sin(np.pi * t) for t in times]), "C3": (rate, [noise(rate, 150)] * 2)},
        segments,
    )
    night = cut(recording, scale="none")
    assert night.starts.tolist() == [0.0, 30.0, 60.0, 90.0, 120.0]
    assert night.present[:, PLACE["ECG"]].tolist() == [True, False, True, True, True]
    assert night.emptied["missing"][:, PLACE["ECG"]].tolist() == [False, True] + [False] * 3
    expected = np.sin(np.pi * (60 + np.arange(SAMPLES) / RATE))
    assert np.abs(night.signals[2, PLACE["ECG"]] - expected).max() < 0.003


def test_what_is_no_number_empties_its_clip_alone(cut: Callable[..., NightClips]) -> None:
    samples = 50 + noise(128)
    samples[45 * 128] = np.nan
    night = cut(one("ECG", 128.0, samples))
    assert night.present[:, PLACE["ECG"]].tolist() == [True, False, True]
    assert night.emptied["missing"][:, PLACE["ECG"]].tolist() == [False, True, False]
    assert not night.signals[1].any()
    assert night.signals[0, PLACE["ECG"]].astype(float).std() == pytest.approx(1, abs=0.1)


def test_a_flat_channel_is_emptied_where_it_is_flat_but_for_saturation(
    cut: Callable[..., NightClips],
) -> None:
    flat = {}
    for place, rate in (("CHEST", 32), ("SaO2", 1), ("ECG", 256)):
        samples = np.round(95 + noise(rate), 2)
        samples[: 16 * rate] = 95.0  # 16 s of the first clip
        samples[30 * rate : 44 * rate] = 95.0  # 14 s of the second
        flat[place] = (float(rate), [samples])
    flat["SaO2"][1][0][:60] = 95.0
    night = cut(InMemory(flat))
    assert night.present[:, PLACE["CHEST"]].tolist() == [False, True, True]
    assert night.present[:, PLACE["ECG"]].tolist() == [False, True, True]
    assert night.present[:, PLACE["SaO2"]].all()
    assert np.ptp(night.signals[0, PLACE["SaO2"]]) < 1e-3
    counts = {reason: int(where.sum()) for reason, where in night.emptied.items()}
    assert counts == {"missing": 0, "flat": 2, "overflow": 0}
    assert cut(InMemory(flat), rule=Rule(flat_limit=0.6)).present[0, PLACE["ECG"]]


def test_a_channel_that_never_changes_fills_nothing(cut: Callable[..., NightClips]) -> None:
    steady = np.full(200 * SECONDS, 0.1)
    steady[0] = 7.0  # before the clips
    recording = InMemory(
        {
            "ECG": (200.0, [steady]),
            "SaO2": (1.0, [np.full(SECONDS, np.nan)]),
            "C3-M2": (200.0, [noise(200)]),
        }
    )
    night = cut(recording, scored(5.0, [0, 1]))
    assert night.labels == (None, None, None, "C3-M2", None, None, None, None, None)
    assert dict(night.left_out) == {
        "ECG": "it is 0.1 throughout",
        "SaO2": "no clip has all its samples: they are missing or no numbers",
    }


def test_numbers_that_float16_cannot_hold_empty_their_clip(cut: Callable[..., NightClips]) -> None:
    samples = 1000 * noise(64)
    samples[70 * 64 : 72 * 64] = 1e6
    night = cut(one("ECG", 64.0, samples), scale="none")
    assert night.present[:, PLACE["ECG"]].tolist() == [True, True, False]
    assert night.emptied["overflow"][:, PLACE["ECG"]].tolist() == [False, False, True]
    assert cut(one("ECG", 64.0, samples)).present[:, PLACE["ECG"]].all()


def test_a_preprocessed_recording_is_cut_as_well(tmp_path: Path) -> None:
    rows = {
        "C3-M2": small_nights.noise(0, 1, 100 * 128)[0],
        "Thor": small_nights.noise(1, 1, 100 * 128)[0],
    }
    rows["C3-M2"][29 * 128] = np.nan
    rows["C3-M2"][30 * 128 :][:5] = np.inf
    night = of_recording(small_nights.write(tmp_path / "n.hdf5", rows), scale="none")
    assert night.labels[0] == "Thor"
    assert night.present[:, PLACE["CHEST"]].all()
    assert night.present[:, PLACE["C3-M2"]].tolist() == [False, False, True]
    # every second sample is one of the recording's, but for the filter
    kept = night.signals[0, PLACE["CHEST"], ::2].astype(float)
    assert np.corrcoef(kept, rows["Thor"][: len(kept)].astype(float))[0, 1] > 0.95


def test_the_user_names_places_of_labels_that_tell_none(cut: Callable[..., NightClips]) -> None:
    recording = InMemory({"EEG(sec)": (125.0, [noise(125)]), "EEG": (125.0, [noise(125, seed=1)])})
    night = cut(recording, places={"EEG(sec)": "C3-M2", "EEG": "C4-M1"})
    assert night.labels[3:5] == ("EEG(sec)", "EEG")
    with pytest.raises(InputError, match=r"no channel for any of the places .*--place LABEL=PLACE"):
        cut(recording)


def test_what_cannot_be_cut_is_one_sentence(cut: Callable[..., NightClips]) -> None:
    short = InMemory({"ECG": (64.0, [noise(64, 29)])}, ((0.0, 29.0),))
    with pytest.raises(InputError, match=r"night.edf has 29 s to be cut, less than a clip of 30 s"):
        cut(short)
    with pytest.raises(InputError, match=r"lasts 100 s, of which its labels score nothing"):
        cut(one("ECG", 64.0, noise(64)), scored(200.0, [0, 1]))
    with pytest.raises(night_clips.AnnotationsOnly, match="holds annotations only"):
        cut(InMemory({}))


def test_a_written_edf_comes_back_in_its_unit(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    times = np.arange(200 * 90) / 200
    saturation = np.repeat([97.0, 92.0, 95.0], 30)
    edfio.Edf(
        [
            edfio.EdfSignal(
                40 * np.sin(2 * np.pi * times), 200, label="EEG C3-A2", physical_range=(-50, 50)
            ),
            edfio.EdfSignal(saturation, 1, label="SpO2", physical_range=(0, 102.4)),
        ]
    ).write(path)
    night = of_recording(path, scored(30.0, [4, 3]), scale="none")
    wave = 40 * np.sin(2 * np.pi * np.arange(SAMPLES) / RATE)
    assert np.abs(night.signals[0, PLACE["C3-M2"]] - wave).max() < 0.05
    middle = night.signals[:, PLACE["SaO2"], SAMPLES // 2].astype(float)
    np.testing.assert_allclose(middle, [92, 95], atol=0.05)


def test_a_wfdb_record_is_cut_without_what_it_marks_as_missing(tmp_path: Path) -> None:
    """Less than a second is bridged, as wherever a record is read; from a second on it is a gap."""
    digits = wfdb_records.digits()  # 40 s of C3-M2, SaO2 and ECG at 200 Hz
    digits[10 * 200 : 11 * 200 - 1, 0] = wfdb_records.INVALID
    digits[20 * 200 : 21 * 200, 2] = wfdb_records.INVALID
    night = of_recording(wfdb_records.write(tmp_path, digits), scored(9.995, [3]), scale="none")
    assert night.starts.tolist() == [9.995]
    assert night.present[0, [PLACE["C3-M2"], PLACE["SaO2"], PLACE["ECG"]]].tolist() == [1, 1, 0]
    assert dict(night.left_out).keys() == {"ECG"}
    source = digits[1999 : 1999 + 30 * 200, 0]  # 1 for a microvolt
    found = night.signals[0, PLACE["C3-M2"], ::32].astype(float)  # every 25th sample of 200 Hz
    known = source[::25] != wfdb_records.INVALID
    assert np.corrcoef(found[known], source[::25][known])[0, 1] > 0.97
    assert np.abs(found).max() < 2 * np.abs(source[::25][known]).max()  # no −32768 among them
