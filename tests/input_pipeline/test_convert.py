"""EDF and Raw become signals one after the other, each with its name, quality and provenance."""

import hashlib
import tracemalloc
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import edf
from sleepfm_jax.input_pipeline.convert import convert
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.version import __version__
from tests.input_pipeline import edf_files


def raw_of(samples: dict[str, np.ndarray], rate: float = 100.0) -> mne.io.RawArray:
    info = mne.create_info(list(samples), rate, "eeg")
    return mne.io.RawArray(np.array(list(samples.values())), info, verbose="error")


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count) * 1e-5


def test_signals_of_a_night_with_a_gap(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    edf_files.set_fixed(path, "reserved", "EDF+D")
    edf_files.set_times(path, [f"+{t + (30 if t >= 8 else 0)}" for t in range(12)])
    with convert(path) as night:
        signals = {signal.label: signal for signal in night}
    assert {label: signal.modality for label, signal in signals.items()} == {
        "C3-M2": Modality.BAS,
        "Airflow": Modality.RESP,
    }
    eeg = signals["C3-M2"]
    assert eeg.samples.shape == (42 * 128,)
    assert not eeg.samples[8 * 128 : 38 * 128].any()
    real = np.delete(eeg.samples, np.s_[8 * 128 : 38 * 128]).astype(float)
    assert real.mean() == pytest.approx(0, abs=1e-3)
    assert real.std() == pytest.approx(1, abs=1e-3)
    assert eeg.quality.missing == pytest.approx(30 / 42)
    assert (eeg.source_rate, eeg.unit) == (100, "uV")
    assert (signals["Airflow"].source_rate, signals["Airflow"].unit) == (10, "mV")


def test_provenance_tells_the_file_and_nobody(tmp_path: Path) -> None:
    (tmp_path / "Jane").mkdir()
    path = edf_files.write(tmp_path / "Jane" / "night.edf")
    with convert(path) as night:
        assert night.name == "night"
        assert night.provenance == {
            "software": f"sleepfm-jax {__version__}",
            "source_format": "EDF+C",
            "duration": 12.0,
            "source": "night.edf",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }


def test_every_channel_is_converted_or_left_out_for_a_reason(psg: Path) -> None:
    with edf.open_recording(psg / "dreams_excerpt3" / "excerpt3.edf") as recording:
        with convert(recording) as night:
            used = [signal.label for signal in night]
        labels = [signal.label for signal in recording.signals]
    left_out = dict(night.left_out)
    assert sorted([*used, *left_out]) == sorted(labels)
    assert {"VTH", "VAB", "NAF1"} <= set(used)
    assert all(left_out.values())


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(psg: Path, threads: int) -> None:
    path = psg / "nox_a1_rsleep" / "subject1.edf"
    with convert(path) as alone, convert(path, threads=threads) as together:
        for one, other in zip(alone, together, strict=True):
            assert one.label == other.label
            np.testing.assert_array_equal(one.samples, other.samples)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_channel_with_nan_goes_with_its_name(bad: float) -> None:
    samples = {label: noise(2000, seed) for seed, label in enumerate(["C3-M2", "C4-M1", "O1-M2"])}
    samples["C4-M1"][700] = bad
    with convert(raw_of(samples)) as night:
        signals = {signal.label: signal.samples for signal in night}
    assert list(signals) == ["C3-M2", "O1-M2"]
    assert dict(night.left_out) == {"C4-M1": "it holds samples that are no numbers"}
    with convert(raw_of({"O1-M2": samples["O1-M2"]})) as alone:
        np.testing.assert_array_equal(next(iter(alone)).samples, signals["O1-M2"])


@pytest.mark.parametrize("preload", [False, True])
def test_a_raw_gives_what_its_file_gives(psg: Path, preload: bool) -> None:
    path = psg / "sleep_edf_short" / "short_psg.edf"
    raw = mne.io.read_raw_edf(path, preload=preload, verbose="error")
    with convert(path) as from_file, convert(raw) as from_raw:
        for one, other in zip(from_file, from_raw, strict=True):
            assert (one.label, one.modality) == (other.label, other.modality)
            np.testing.assert_array_equal(one.samples, other.samples)
        assert from_raw.name == "short_psg"
        assert from_raw.provenance["source"] == "short_psg.edf"
    assert raw.preload == preload  # the user's object stays as it was


def test_the_montage_decides(tmp_path: Path) -> None:
    path = edf_files.write(tmp_path / "night.edf")
    with convert(path, Montage(named={"C3-M2": None, "Airflow": Modality.EMG})) as night:
        assert [(s.label, s.modality) for s in night] == [("Airflow", Modality.EMG)]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"C3-M2": noise(499)}, "is 4.99 s long"),
        ({"Position": noise(2000)}, "no channel of any of the four modalities to use, only 'Pos"),
        ({"C3-M2": np.full(2000, np.nan)}, "no channel of any of the four modalities to use"),
    ],
)
def test_unusable_nights_are_refused(source: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence), convert(raw_of(source)) as night:
        list(night)


def test_annotations_alone_are_no_night(psg: Path) -> None:
    path = psg.parent / "annotations" / "sleepedf_hypnograms" / "SC4001EC-Hypnogram.edf"
    with pytest.raises(InputError, match="holds annotations only"), convert(path):
        pass


def test_the_night_is_never_held(tmp_path: Path) -> None:
    rate, seconds, channels = 256, 600, 12
    random = np.random.default_rng(0)
    edfio.Edf(
        [
            edfio.EdfSignal(random.standard_normal(rate * seconds), rate, label=f"EEG {label}")
            for label in ("C3", "C4", "Cz", "F3", "F4", "Fz", "O1", "O2", "Oz", "P3", "P4", "Pz")
        ]
    ).write(tmp_path / "night.edf")
    channel = rate * seconds * 8  # bytes at full rate
    with convert(tmp_path / "night.edf", Montage(caps={Modality.BAS: channels})) as night:
        tracemalloc.start()
        count = sum(1 for _ in night)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == channels
    assert peak < 6 * channel
