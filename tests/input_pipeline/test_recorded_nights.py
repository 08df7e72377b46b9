"""Nights as signals: runs as they stand in the recording, channels that are there, what is damaged.

The batches themselves are in test_night_batches.py.
"""

from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.recorded_nights import RecordedNights
from sleepfm_jax.input_pipeline.windows import PATCH
from tests.input_pipeline import small_nights

RNG = np.random.default_rng(0)


def filled(nights: RecordedNights, run: slice, night: int = 0) -> dict[str, np.ndarray]:
    batch = nights.rows(1, 60)
    nights.fill(batch, 0, night, run, RNG)
    return {name: rows[0] for name, rows in batch.items()}


def test_a_channel_with_a_hole_is_absent_there_and_only_there(tmp_path: Path) -> None:
    signals = small_nights.noise(0, 3, 120 * PATCH)
    signals[1, 61 * PATCH + 3] = np.nan
    path = small_nights.write(
        tmp_path / "n.hdf5", dict(zip(small_nights.LABELS, signals, strict=True))
    )
    nights = RecordedNights({"n": path}, slots=4)
    before, after = filled(nights, slice(0, 60)), filled(nights, slice(60, 120))
    assert before["modality"].tolist() == [0, 1, 2, -1]
    assert after["modality"].tolist() == [0, 2, -1, -1]
    np.testing.assert_array_equal(after["signals"][:2], signals[[0, 2], 60 * PATCH :])
    assert not after["signals"][2:].any()


def test_a_run_without_any_channel_is_refused_by_name(tmp_path: Path) -> None:
    path = small_nights.write(tmp_path / "n.hdf5", {"ECG": np.full(70 * PATCH, np.nan, np.float16)})
    nights = RecordedNights({"n": path})
    with pytest.raises(InputError, match=r"n\.hdf5 has no channel .* from 300 to 350 s: leave"):
        filled(nights, slice(60, 70))


def test_more_channels_than_slots_keep_every_modality(tmp_path: Path) -> None:
    labels = ("C3-M2", "C4-M1", "O1-M2", "F3-M2", "Airflow", "ECG", "Chin")
    signals = small_nights.noise(1, len(labels), 60 * PATCH)
    path = small_nights.write(tmp_path / "n.hdf5", dict(zip(labels, signals, strict=True)))
    row = filled(RecordedNights({"n": path}, slots=5), slice(0, 60))
    assert set(row["modality"]) == {0, 1, 2, 3}
    assert row["patches"] == 60
    known = {tuple(channel[:50]) for channel in signals}
    assert all(tuple(channel[:50]) in known for channel in row["signals"])


def test_what_cannot_be_opened_is_left_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.hdf5").write_text("none")
    short = small_nights.write(tmp_path / "short.hdf5", {"ECG": np.ones(100, np.float16)})
    good = small_nights.night(tmp_path / "good.hdf5")
    nights = RecordedNights({"text": tmp_path / "text.hdf5", "short": short, "good": good})
    assert nights.names == ("good",)
    assert nights.steps.tolist() == [75]
    assert [name for name, _ in nights.left_out] == ["text", "short"]


def test_a_recording_that_changes_meanwhile_is_refused_by_name(tmp_path: Path) -> None:
    nights = RecordedNights({"n": small_nights.night(tmp_path / "n.hdf5")})
    small_nights.night(tmp_path / "n.hdf5", patches=76)
    with pytest.raises(InputError, match=r"n\.hdf5 has changed since it was opened: start again"):
        filled(nights, slice(0, 60))


@pytest.mark.parametrize("slots", [3, 25])
def test_slots_that_cannot_work_are_refused(slots: int) -> None:
    with pytest.raises(InputError, match=f"slots is {slots}: give 4 to 24"):
        RecordedNights({}, slots)
