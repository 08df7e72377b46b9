"""What a sleep laboratory reports of a hypnogram, by the definitions of the AASM manual.

Arousals, breathing events and limb movements are not in a hypnogram: they are not scored, not 0.
"""

import dataclasses

import numpy as np

WAKE, N1, N2, N3, REM = range(5)
SLEEP = {"N1": N1, "N2": N2, "N3": N3, "REM": REM}


@dataclasses.dataclass(frozen=True)
class SleepStatistics:
    """All times in minutes, shares in percent.

    Attributes:
        lights_off: from the start of the recording.
        lights_on: from the start of the recording.
        time_in_bed: from lights off to lights on (AASM: total recording time).
        total_sleep_time: N1, N2, N3 and REM within.
        sleep_efficiency: total sleep time over time in bed.
        sleep_onset_latency: from lights off to the first epoch of sleep; NaN without sleep.
        rem_latency: from the first epoch of sleep to the first of REM; NaN without REM.
        wake_after_sleep_onset: wake from the first epoch of sleep to lights on; NaN without sleep.
        wake: within the time in bed.
        unscored: within the time in bed.
        minutes: of each sleep stage.
        percent: of total sleep time that each sleep stage takes; NaN without sleep.
        reasons: why a number is NaN, by its name.
    """

    lights_off: float
    lights_on: float
    time_in_bed: float
    total_sleep_time: float
    sleep_efficiency: float
    sleep_onset_latency: float
    rem_latency: float
    wake_after_sleep_onset: float
    wake: float
    unscored: float
    minutes: dict[str, float]
    percent: dict[str, float]
    reasons: dict[str, str]

    def flat(self) -> dict[str, float]:
        """Every number by the name of its column."""
        numbers = dataclasses.asdict(self)
        minutes, percent = numbers.pop("minutes"), numbers.pop("percent")
        del numbers["reasons"]
        return {
            **numbers,
            **{f"minutes_{stage}": value for stage, value in minutes.items()},
            **{f"percent_{stage}": value for stage, value in percent.items()},
        }


def sleep_statistics(
    stages: np.ndarray,
    epoch: float = 30.0,
    lights_off: float | None = None,
    lights_on: float | None = None,
) -> SleepStatistics:
    """Statistics of a night between lights off and lights on.

    Epochs that one of them cuts count with the part that lies between them.

    Args:
        stages: (K,) 0 Wake, 1 N1, 2 N2, 3 N3, 4 REM, −1 unscored; the first one starts with the
            recording.
        epoch: seconds.
        lights_off: seconds from the start of the recording; None: start of the first scored epoch.
        lights_on: seconds; None: end of the last scored epoch.

    Raises:
        ValueError: nothing is scored, or lights go on before they go off.
    """
    stages = np.asarray(stages)
    scored = np.flatnonzero(stages >= 0)
    if not len(scored):
        raise ValueError("no epoch is scored")
    off = scored[0] * epoch if lights_off is None else lights_off
    on = (scored[-1] + 1) * epoch if lights_on is None else lights_on
    if not off < on:
        raise ValueError(f"lights on ({on:g} s) is not after lights off ({off:g} s)")
    starts = np.arange(len(stages)) * epoch
    seconds = np.clip(np.minimum(starts + epoch, on) - np.maximum(starts, off), 0, None)
    minutes = {name: float(seconds[stages == code].sum() / 60) for name, code in SLEEP.items()}
    wake = float(seconds[stages == WAKE].sum() / 60)
    in_bed, asleep = (on - off) / 60, sum(minutes.values())
    sleep = (stages > WAKE) & (seconds > 0)
    onset = _first(sleep, starts, off)
    dream = _first(sleep & (stages == REM), starts, off)
    after = seconds[(stages == WAKE) & (starts >= onset)].sum() / 60 if asleep else np.nan
    return SleepStatistics(
        lights_off=off / 60,
        lights_on=on / 60,
        time_in_bed=in_bed,
        total_sleep_time=asleep,
        sleep_efficiency=100 * asleep / in_bed,
        sleep_onset_latency=(onset - off) / 60,
        rem_latency=(dream - onset) / 60,
        wake_after_sleep_onset=float(after),
        wake=wake,
        unscored=in_bed - asleep - wake,
        minutes=minutes,
        percent={name: 100 * m / asleep if asleep else np.nan for name, m in minutes.items()},
        reasons=_reasons(bool(asleep), bool(minutes["REM"])),
    )


def _first(chosen: np.ndarray, starts: np.ndarray, off: float) -> float:
    """Seconds at which the first chosen epoch starts, not before lights off; NaN without one."""
    return float(max(starts[chosen.argmax()], off)) if chosen.any() else np.nan


def _reasons(asleep: bool, dreamt: bool) -> dict[str, str]:
    if not asleep:
        names = ("sleep_onset_latency", "rem_latency", "wake_after_sleep_onset")
        return dict.fromkeys((*names, *(f"percent_{stage}" for stage in SLEEP)), "no sleep")
    return {} if dreamt else {"rem_latency": "no REM sleep"}
