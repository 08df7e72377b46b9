"""WFDB records give wfdb's own numbers, in whatever format and however they are cut into blocks."""

from pathlib import Path

import edfio
import numpy as np
import pytest
import wfdb

from sleepfm_jax.input_pipeline import nights, source_files, wfdb_recording
from sleepfm_jax.input_pipeline.inspection import inspect
from sleepfm_jax.input_pipeline.modality import Modality
from tests.input_pipeline import wfdb_records
from tests.input_pipeline.annotation_formats.label_files import real

BYTES = {
    "16": 2,
    "24": 3,
    "32": 4,
    "80": 1,
    "160": 2,
    "212": 1.5,
    "310": 4 / 3,
    "311": 4 / 3,
}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wfdb_recording, "BLOCK_SAMPLES", 3001)


@pytest.mark.parametrize("form", BYTES)
@pytest.mark.usefixtures("small_blocks")
def test_samples_are_those_of_wfdb(tmp_path: Path, form: str) -> None:
    """Any bytes are samples; wfdb reads them all at once, the recording in blocks."""
    stored = np.random.default_rng(0).bytes(7 + int(3 * 8000 * BYTES[form]))
    (tmp_path / "night.dat").write_bytes(stored)
    path = tmp_path / "night.hea"
    gains = ("4(-3)/uV", "655.35(-32768)/%", "1000/mV")
    lines = [f"night.dat {form}+7 {gain} 0 0 0 0 0 s" for gain in gains]
    path.write_text("\n".join(["night 3 200 8000", *lines]))
    expected = wfdb.rdrecord(str(path.with_suffix(""))).p_signal
    with wfdb_recording.open_recording(path) as recording:
        for index, signal in enumerate(recording.signals):
            np.testing.assert_array_equal(recording.read(signal), expected[:, index])


@pytest.mark.usefixtures("small_blocks")
def test_what_was_not_measured_is_no_number(tmp_path: Path) -> None:
    made = wfdb_records.digits()
    made[2990:3010, 1] = wfdb_records.INVALID
    path = wfdb_records.write(tmp_path, made)
    with wfdb_recording.open_recording(path) as recording:
        samples = [recording.read(signal) for signal in recording.signals]
    assert np.flatnonzero(np.isnan(samples[1])).tolist() == list(range(2990, 3010))
    assert np.isfinite([samples[0], samples[2]]).all()


@pytest.mark.usefixtures("small_blocks")
def test_every_signal_keeps_its_own_rate(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    made = [random.integers(-99, 99, 4 * 4000), random.integers(-99, 99, 4000)]
    record = wfdb.Record(
        record_name="night", n_sig=2, fs=50, sig_len=4000, file_name=["night.dat"] * 2,
        fmt=["16"] * 2, samps_per_frame=[4, 1], adc_gain=[1.0, 1.0], baseline=[0, 0],
        units=["uV", "mV"], sig_name=["C3-M2", "ECG"], e_d_signal=made,
    )  # fmt: skip
    record.set_d_features(expanded=True)
    record.set_defaults()
    record.wrsamp(expanded=True, write_dir=str(tmp_path))
    with wfdb_recording.open_recording(tmp_path / "night.hea") as recording:
        assert [signal.rate for signal in recording.signals] == [200, 50]
        assert recording.highest_rate == 200
        assert recording.duration == 80
        for signal, expected in zip(recording.signals, made, strict=True):
            np.testing.assert_array_equal(recording.read(signal), expected)


def test_the_challenges_header_is_understood(tmp_path: Path) -> None:
    """The real one; its signals are absent, so an empty file of the right length stands in."""
    header = real("annotations/cinc2018/tr03-0005.hea").read_text()
    (tmp_path / "tr03-0005.hea").write_text(header)
    with (tmp_path / "tr03-0005.mat").open("wb") as file:
        file.truncate(24 + 2 * 13 * 5147000)
    with source_files.open_recording(tmp_path / "tr03-0005.hea") as recording:
        oxygen, ecg = recording.signals[11:]
        assert recording.duration == 25735
        assert [signal.label for signal in recording.signals][:3] == ["F3-M2", "F4-M1", "C3-M2"]
    assert (oxygen.label, oxygen.unit, oxygen.physical_min) == ("SaO2", "%", 0)
    assert oxygen.physical_max == pytest.approx(100)
    assert (ecg.label, ecg.unit, ecg.physical_max) == ("ECG", "mV", 32.767)
    used = {channel.modality for channel in inspect(recording.path).channels if channel.used}
    assert used == set(Modality)


def test_the_same_samples_from_edf_are_the_same_night(tmp_path: Path) -> None:
    made = wfdb_records.digits(bits=12)
    made[:, 1] = np.clip(made[:, 1], 0, 400)
    path = wfdb_records.write(tmp_path, made)
    wfdb_records.change(path, "1000.0(5)/mV", "1024(0)/mV")  # both formats express this exactly
    edfio.Edf(
        [
            edfio.EdfSignal.from_digital(
                made[:, index].astype(np.int16),
                wfdb_records.RATE,
                label=label,
                physical_dimension=unit,
                digital_range=(-32768, 32767),
                physical_range=((-32768 - zero) / gain, (32767 - zero) / gain),
            )
            for index, (label, unit, gain, zero) in enumerate(
                [("C3-M2", "uV", 1, 0), ("SaO2", "%", 4, -64), ("ECG", "mV", 1024, 0)]
            )
        ]
    ).write(tmp_path / "night.edf")
    one, other = nights.load(path), nights.load(tmp_path / "night.edf")
    assert one.labels == other.labels == ("C3-M2", "SaO2", "ECG")
    np.testing.assert_array_equal(one.signals, other.signals)
    np.testing.assert_array_equal(one.modality, other.modality)


def test_the_hash_covers_header_and_signals(tmp_path: Path) -> None:
    path = wfdb_records.write(tmp_path, wfdb_records.digits())
    assert source_files.files(path) == (path, tmp_path / "night.dat")
    first = nights.load(path).provenance
    assert (first["source"], first["source_format"]) == ("night.hea", "WFDB")
    wfdb_records.change(path, "SaO2", "SpO2")
    second = nights.load(path).provenance
    wfdb_records.write(tmp_path, wfdb_records.digits(seed=1))
    third = nights.load(path).provenance
    assert len({entry["sha256"] for entry in (first, second, third)}) == 3
