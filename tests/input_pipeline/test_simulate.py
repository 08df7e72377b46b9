"""Simulated files: readable by others, equal byte for byte, the same whatever else is made."""

import csv
import re
from pathlib import Path

import mne
import numpy as np
import pytest

from sleepfm_jax.input_pipeline.channels import Modality, identify
from sleepfm_jax.input_pipeline.simulate import simulate_night, write_night
from sleepfm_jax.input_pipeline.simulation.montages import MONTAGES, draw_montage, kind
from sleepfm_jax.input_pipeline.simulation.streams import stream

MODALITY = {
    "eeg": Modality.BAS,
    "eog": Modality.BAS,
    "ecg": Modality.EKG,
    "chin": Modality.EMG,
    "left leg": Modality.EMG,
    "right leg": Modality.EMG,
    "position": None,
    "light": None,
    "battery": None,
}  # everything else breathes or pulses


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_night(simulate_night(seed=3, night=2, hours=0.1, montage="dashes"), folder)
    return folder


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_night(simulate_night(seed=3, night=2, hours=0.1, montage="dashes"), tmp_path)
    for file in ("edf/sim3-0002.edf", "stages/sim3-0002.csv"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_other_seeds_and_other_nights_differ() -> None:
    def central_eeg(seed: int, night: int) -> np.ndarray:
        made = simulate_night(seed, night, 0.02, "dashes")
        return made.body.record(MONTAGES["dashes"][2])

    base = central_eeg(3, 2)
    for other in (central_eeg(4, 2), central_eeg(3, 1)):
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.2


def test_a_channel_does_not_depend_on_which_others_are_recorded() -> None:
    one, all_of_them = (simulate_night(3, 2, 0.05, "underscores") for _ in range(2))
    chin = next(c for c in one.channels if c.source == "chin")
    alone = one.body.record(chin)
    after_the_others = dict(all_of_them.signals())[chin]
    np.testing.assert_array_equal(alone, after_the_others)


def test_the_subject_does_not_depend_on_length_or_montage() -> None:
    short, long = simulate_night(3, 2, 0.1, "home"), simulate_night(3, 2, 8, "colons")
    assert short.subject == long.subject


def test_mne_reads_labels_rates_and_values(folder: Path) -> None:
    night = simulate_night(3, 2, 0.1, "dashes")
    raw = mne.io.read_raw_edf(folder / "edf" / "sim3-0002.edf", verbose="error")
    assert raw.ch_names == [channel.label for channel in night.channels]
    assert raw.info["sfreq"] == 256
    assert raw.times[-1] == pytest.approx(360, abs=0.01)
    for label in ("C3-M2", "Chin1-Chin2"):
        channel = next(c for c in night.channels if c.label == label)
        written = raw.get_data(label)[0] * 1e6
        made = np.clip(night.body.record(channel), *channel.limits)
        step = (channel.limits[1] - channel.limits[0]) / 65535
        assert np.abs(written - made).max() <= 0.51 * step


def test_the_header_holds_no_real_date(folder: Path) -> None:
    header = (folder / "edf" / "sim3-0002.edf").read_bytes()[:256].decode("ascii")
    assert header[168:184] == "01.01.0022.00.00"
    assert header[8:88].rstrip() == "X X X X"
    assert header[88:168].rstrip() == "Startdate 01-JAN-2000 X X simulated"


def test_no_channel_leaves_its_physical_range_for_long() -> None:
    for name in sorted(MONTAGES):
        for channel, samples in simulate_night(3, 0, 0.1, name).signals():
            low, high = channel.limits
            outside = np.mean((samples < low) | (samples > high))
            assert outside < 0.005, (name, channel.label)
            assert np.isfinite(samples).all()
            if kind(channel.source) not in ("position", "light"):
                assert samples.std() > 20 * (high - low) / 65535, (name, channel.label)


def test_stages_are_rows_of_30_seconds(folder: Path) -> None:
    with open(folder / "stages" / "sim3-0002.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    stages = simulate_night(3, 2, 0.1).stages
    assert list(rows[0]) == ["Start", "Stop", "StageName", "StageNumber"]
    assert [int(row["Start"]) for row in rows] == list(range(0, 360, 30))
    assert all(int(row["Stop"]) - int(row["Start"]) == 30 for row in rows)
    assert [int(row["StageNumber"]) for row in rows] == stages.tolist()
    numbers = {"Wake": "0", "N1": "1", "N2": "2", "N3": "3", "REM": "4"}
    assert all(numbers[row["StageName"]] == row["StageNumber"] for row in rows)


@pytest.mark.parametrize("name", sorted(MONTAGES))
def test_every_label_is_understood(name: str) -> None:
    for channel in MONTAGES[name]:
        expected = MODALITY.get(kind(channel.source), Modality.RESP)
        assert identify(channel.label).modality == expected, channel.label


def test_laboratories_differ_and_lose_no_modality() -> None:
    drawn = [draw_montage(stream(1, night, "montage"), None) for night in range(200)]
    styles = {re.sub("[A-Za-z0-9]", "", channels[0].label) for channels in drawn}
    assert len(styles) >= 4
    complete = {len(channels) for channels in MONTAGES.values()}
    assert {len(channels) for channels in drawn} - complete, "no night lacks a channel"
    for channels in drawn:
        modalities = {MODALITY.get(kind(c.source), Modality.RESP) for c in channels}
        assert modalities >= set(Modality)
        assert {c.source for c in channels} >= {"C3", "E1", "E2", "chin", "ecg", "oxygen"}
