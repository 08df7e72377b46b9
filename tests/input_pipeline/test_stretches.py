"""Gaps stand at their true times; what is missing for less than a second is bridged."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.convert import NOTHING_MEASURED, convert
from sleepfm_jax.input_pipeline.stretches import measured
from tests.input_pipeline import wfdb_records

RATE = 5.0  # so few samples in a second make gaps likely


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=1, max_size=8))
def test_stretches_hold_what_was_measured_at_its_time(runs: list[tuple[bool, int]]) -> None:
    known = np.concatenate([np.full(length, there) for there, length in runs])
    truth = 3.0 * np.arange(len(known)) - 7  # a straight line: bridges must lie on it
    found = list(measured(np.where(known, truth, np.nan), RATE))
    covered = np.zeros(len(known), bool)
    for stretch in found:
        first, stop = round(stretch.start * RATE), round(stretch.stop * RATE)
        np.testing.assert_allclose(stretch.samples, truth[first:stop], atol=1e-9)
        assert not covered[first:stop].any()
        covered[first:stop] = True
        assert known[first]
        assert known[stop - 1]
    assert covered[known].all(), "every sample that was measured is in a stretch"
    borders = [round(t * RATE) for s in found for t in (s.start, s.stop)][1:-1]
    assert all(later - sooner >= RATE for sooner, later in zip(*[iter(borders)] * 2, strict=True))
    for sooner, later in itertools.pairwise(found):
        assert sooner.stop < later.start


@pytest.mark.parametrize(("missing", "pieces"), [(4, 1), (5, 2), (6, 2)])
def test_a_gap_begins_at_a_second(missing: int, pieces: int) -> None:
    samples = np.ones(30)
    samples[10 : 10 + missing] = np.nan
    assert len(list(measured(samples, RATE))) == pieces


def test_a_sensor_that_fails_for_a_while_leaves_a_gap_in_its_channel_alone(tmp_path: Path) -> None:
    made = wfdb_records.digits()
    made[2000:4000, 1] = wfdb_records.INVALID  # seconds 10 to 20
    made[300:310, 0] = wfdb_records.INVALID
    with convert(wfdb_records.write(tmp_path, made)) as night:
        signals = {signal.label: signal for signal in night}
    assert list(signals) == ["C3-M2", "SaO2", "ECG"]
    oxygen = signals["SaO2"]
    assert not oxygen.samples[10 * 128 : 20 * 128].any()
    assert oxygen.quality.missing == pytest.approx(0.25)
    real = np.delete(oxygen.samples, np.s_[10 * 128 : 20 * 128]).astype(float)
    assert real.mean() == pytest.approx(0, abs=1e-3)
    assert real.std() == pytest.approx(1, abs=1e-3)
    assert signals["C3-M2"].quality.missing == signals["ECG"].quality.missing == 0
    assert np.count_nonzero(signals["C3-M2"].samples == 0) < 10


def test_a_sensor_that_measured_nothing_is_left_out_by_name(tmp_path: Path) -> None:
    made = wfdb_records.digits()
    made[:, 1] = wfdb_records.INVALID
    with convert(wfdb_records.write(tmp_path, made)) as night:
        assert [signal.label for signal in night] == ["C3-M2", "ECG"]
    assert night.left_out == [("SaO2", NOTHING_MEASURED)]
    made[:] = wfdb_records.INVALID
    with (
        convert(wfdb_records.write(tmp_path, made)) as night,
        pytest.raises(InputError, match="no channel"),
    ):
        list(night)
