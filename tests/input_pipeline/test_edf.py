"""Real recordings are read value for value as MNE reads them."""

from pathlib import Path

import mne
import numpy as np
import pytest

from sleepfm_jax.input_pipeline import edf

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


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_are_bit_equal_to_mne(psg: Path, name: str) -> None:
    path = psg.parent / name
    read_raw = mne.io.read_raw_bdf if path.suffix == ".bdf" else mne.io.read_raw_edf
    names = read_raw(path, verbose="error").ch_names
    with edf.open_recording(path) as recording:
        assert len(names) == len(recording.signals)
        for position, signal in enumerate(recording.signals):
            others = [other for i, other in enumerate(names) if i != position]
            # alone, a channel keeps its own rate in MNE
            raw = read_raw(path, exclude=others, exclude_after_unique=True, verbose="error")
            ours = np.concatenate(
                [recording.read(signal, i) for i in range(len(recording.segments))]
            )
            volts = {"uV": 1e-6, "mV": 1e-3}.get(signal.unit, 1.0)
            assert raw.info["sfreq"] == signal.rate
            assert ours.size == signal.samples
            np.testing.assert_array_equal(ours * volts, raw.get_data()[0])
