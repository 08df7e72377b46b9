"""Sleep statistics: YASA's where the definitions agree, the AASM's where they do not."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.evaluate.sleep_statistics import sleep_statistics

NIGHTS = json.loads(
    (Path(__file__).parents[1] / "data" / "yasa_sleep_statistics.json").read_text()
)["nights"]


@pytest.mark.parametrize("night", range(len(NIGHTS)))
def test_statistics_are_those_of_yasa(night: int) -> None:
    stages = np.array([int(code) for code in NIGHTS[night]["stages"]])
    theirs = NIGHTS[night]["statistics"]
    found = sleep_statistics(stages)
    same = {
        "time_in_bed": theirs["TIB"],
        "total_sleep_time": theirs["TST"],
        "sleep_efficiency": theirs["SE"],
        "sleep_onset_latency": theirs["SOL"],
        # from sleep onset, where YASA counts from the start
        "rem_latency": theirs["Lat_REM"] - theirs["SOL"],
        # to lights on, where YASA ends with the last epoch of sleep
        "wake_after_sleep_onset": theirs["TIB"] - theirs["SOL"] - theirs["TST"],
        **{f"minutes_{stage}": theirs[stage] for stage in ("N1", "N2", "N3", "REM")},
        **{f"percent_{stage}": theirs[f"%{stage}"] for stage in ("N1", "N2", "N3", "REM")},
    }
    ours = found.flat()
    rounded = 1e-4  # YASA gives four decimals
    np.testing.assert_allclose(
        [ours[name] for name in same], list(same.values()), rtol=0, atol=rounded
    )
    asleep = np.flatnonzero(stages)
    within = sleep_statistics(stages[: asleep[-1] + 1])
    assert within.wake_after_sleep_onset == pytest.approx(theirs["WASO"], abs=rounded)
    assert set(found.reasons) == {name for name, value in ours.items() if np.isnan(value)}


def test_yasa_was_asked_about_nights_of_every_kind() -> None:
    assert len(NIGHTS) == 10
    assert any("4" not in night["stages"] for night in NIGHTS)
    assert any("3" not in night["stages"] for night in NIGHTS)
    assert any(night["statistics"]["SOL"] == 0 for night in NIGHTS)
    waits = [night["statistics"]["TIB"] - night["statistics"]["SPT"] for night in NIGHTS]
    assert any(w > night["statistics"]["SOL"] for w, night in zip(waits, NIGHTS, strict=True))


@settings(deadline=None, max_examples=40)
@given(
    stages=st.lists(st.integers(-1, 4), min_size=4, max_size=40),
    off=st.floats(0, 50),
    length=st.floats(1, 1500),
)
def test_all_time_in_bed_is_accounted_for(stages: list[int], off: float, length: float) -> None:
    stages[0] = 0
    found = sleep_statistics(np.array(stages), 30.0, off, off + length)
    parts = found.total_sleep_time + found.wake + found.unscored
    assert parts == pytest.approx(found.time_in_bed) == pytest.approx(length / 60)
    assert found.unscored > -1e-9
    if found.total_sleep_time:
        assert sum(found.percent.values()) == pytest.approx(100)
        assert 0 <= found.sleep_onset_latency < found.time_in_bed
        assert found.wake_after_sleep_onset <= found.wake + 1e-9
    else:
        assert np.isnan(found.wake_after_sleep_onset)
        assert found.reasons["sleep_onset_latency"] == "no sleep"


def test_lights_decide_what_counts() -> None:
    """Sleep before lights off is not of the night; an epoch that lights cut counts in part."""
    stages = np.array([2, 2, 0, 0, 1, 2, 0, 4, 4, 0, 0, 2])
    found = sleep_statistics(stages, 30.0, lights_off=75, lights_on=315)
    assert found.time_in_bed == 4
    assert found.sleep_onset_latency == 0.75  # 75 s to 120 s
    assert found.rem_latency == 1.5  # 120 s to 210 s
    assert found.total_sleep_time == 2
    assert found.wake_after_sleep_onset == 1.25  # 30 s, and 270 s to 315 s
    assert found.minutes == {"N1": 0.5, "N2": 0.5, "N3": 0, "REM": 1}
    asleep = sleep_statistics(np.array([2, 2, 2]), 30.0, lights_off=45)
    assert asleep.sleep_onset_latency == 0


def test_without_lights_the_scored_part_counts() -> None:
    found = sleep_statistics(np.array([-1, -1, 0, -1, 2, -1]))
    assert (found.lights_off, found.lights_on) == (1, 2.5)
    assert found.unscored == 0.5
    assert found.sleep_onset_latency == 1
    assert found.reasons == {"rem_latency": "no REM sleep"}


@pytest.mark.parametrize(
    ("stages", "off", "on", "said"),
    [([-1, -1], None, None, "no epoch is scored"), ([0, 1], 60, 30, "not after lights off")],
)
def test_what_is_no_night_is_refused(
    stages: list[int], off: float | None, on: float | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        sleep_statistics(np.array(stages), 30.0, off, on)
