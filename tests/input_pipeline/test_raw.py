"""A Raw gives what MNE gives, through the interface of an EDF recording."""

from pathlib import Path

import mne
import numpy as np
import pytest

from sleepfm_jax.input_pipeline.raw import RawRecording


def simulated(first_sample: int = 0) -> mne.io.BaseRaw:
    info = mne.create_info(["C3-M2", "ECG", "Trigger"], 100.0, ["eeg", "ecg", "stim"])
    values = np.random.default_rng(0).normal(size=(3, 1050))
    return mne.io.RawArray(values, info, first_samp=first_sample, verbose="error")


def test_tells_what_the_raw_holds() -> None:
    raw = simulated()
    recording = RawRecording(raw)
    assert [signal.label for signal in recording.signals] == ["C3-M2", "ECG", "Trigger"]
    assert [signal.unit for signal in recording.signals] == ["V", "V", "V"]
    assert {signal.samples for signal in recording.signals} == {1050}
    assert recording.highest_rate == 100.0
    assert recording.segments == ((0.0, 10.5),)
    assert recording.duration == 10.5
    assert recording.path is None
    for row, signal in zip(raw.get_data(), recording.signals, strict=True):
        np.testing.assert_array_equal(recording.read(signal), row)
    with pytest.raises(IndexError, match="one segment"):
        recording.read(recording.signals[0], 1)


def test_onsets_count_from_the_first_sample() -> None:
    raw = simulated(first_sample=300)
    raw.set_annotations(mne.Annotations([4.0], [2.0], ["Arousal"]))
    assert RawRecording(raw).annotations() == [(4.0, 2.0, "Arousal")]
    assert RawRecording(raw.crop(1.0)).annotations() == [(3.0, 2.0, "Arousal")]


def test_leaves_the_raw_open_and_unloaded(psg: Path) -> None:
    raw = mne.io.read_raw_edf(psg / "cap_brux2_crop" / "sample.edf", verbose="error")
    with RawRecording(raw) as recording:
        values = recording.read(recording.signals[3])
    assert recording.path is not None
    assert recording.path.samefile(psg / "cap_brux2_crop" / "sample.edf")
    assert not raw.preload
    np.testing.assert_array_equal(values, raw.get_data()[3])
