"""Simulated signals express stages, events and traits as a polysomnographer would look for them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from sleepfm_jax.input_pipeline.simulate import SimulatedNight, simulate_night
from sleepfm_jax.input_pipeline.simulation.cohort import night_subject
from sleepfm_jax.input_pipeline.simulation.events import (
    CENTRAL,
    LEFT,
    OBSTRUCTIVE,
    Episodes,
    draw_events,
)
from sleepfm_jax.input_pipeline.simulation.hypnograms import Stage, draw_hypnogram
from sleepfm_jax.input_pipeline.simulation.montages import MONTAGES
from sleepfm_jax.input_pipeline.simulation.signals import Body
from sleepfm_jax.input_pipeline.simulation.streams import stream

WAKE, N1, N2, N3, REM = Stage
SEED = 21


class Recording:
    """A night's channels by source, cut into epochs and five-second pieces when asked."""

    def __init__(self, body: Body) -> None:
        self.body, self.stages = body, body.stages
        self.channels = {channel.source: channel for channel in MONTAGES["dashes"]}
        self._samples: dict[str, np.ndarray] = {}

    def samples(self, source: str) -> np.ndarray:
        if source not in self._samples:
            self._samples[source] = self.body.record(self.channels[source]).astype(float)
        return self._samples[source]

    def rate(self, source: str) -> int:
        return self.channels[source].rate

    def epochs(self, source: str) -> np.ndarray:
        """(epochs, samples)."""
        return self.samples(source).reshape(len(self.stages), -1)

    def power(self, source: str, low: float, high: float) -> np.ndarray:
        """(epochs,) mean power density between two frequencies."""
        rate = self.rate(source)
        frequencies, density = signal.welch(self.epochs(source), rate, nperseg=4 * rate)
        return density[:, (frequencies >= low) & (frequencies < high)].mean(1)

    def by_stage(self, values: np.ndarray) -> np.ndarray:
        """(5,) median over the epochs of each stage."""
        return np.array([np.median(values[self.stages == stage]) for stage in Stage])

    def around(self, source: str, times: np.ndarray, before: float, after: float) -> np.ndarray:
        """(events, samples) of those events that lie inside the night with their surroundings."""
        rate, samples = self.rate(source), self.samples(source)
        inside = times[(times > before) & (times < self.body.seconds - after)]
        starts, length = ((inside - before) * rate).astype(int), int((before + after) * rate)
        return np.stack([samples[start : start + length] for start in starts])


@pytest.fixture(scope="module")
def healthy() -> Recording:
    """Four hours of a person with few events."""
    number = next(n for n in range(999) if night_subject(SEED, n).apnea_index < 4)
    return Recording(simulate_night(SEED, number, 4, "dashes").body)


@pytest.fixture(scope="module")
def apneic() -> Recording:
    """Three hours of a person with severe apnea, a third of it central."""
    number = next(n for n in range(999) if night_subject(SEED, n).apnea_index > 45)
    subject = replace(night_subject(SEED, number), central_share=0.4)
    stages = draw_hypnogram(stream(SEED, number, "hypnogram"), subject, 360)
    return Recording(Body(SEED, number, subject, stages))


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def kinds(episodes: Episodes, size: int) -> Episodes:
    chosen = episodes.size == size
    return Episodes(episodes.onset[chosen], episodes.duration[chosen], episodes.size[chosen])


def rms(samples: np.ndarray) -> np.ndarray:
    """Over the last axis, without the mean."""
    return samples.std(-1)


def test_alpha_is_strongest_in_wake_and_at_the_back(healthy: Recording) -> None:
    frequency = healthy.body.subject.alpha_frequency
    occipital = healthy.by_stage(healthy.power("O1", frequency - 0.7, frequency + 0.7))
    frontal = healthy.by_stage(healthy.power("F3", frequency - 0.7, frequency + 0.7))
    assert occipital[WAKE] > 4 * np.delete(occipital, [WAKE, N1]).max()
    assert occipital[WAKE] > 3 * frontal[WAKE]


def test_closed_eyes_bring_alpha_and_open_eyes_blinks(healthy: Recording) -> None:
    frequency = healthy.body.subject.alpha_frequency
    opened = healthy.body.timeline.eyes_open[:-1].reshape(len(healthy.stages), -1).mean(1)
    alpha = healthy.power("O1", frequency - 0.7, frequency + 0.7)
    blinking = rms(healthy.epochs("E2"))
    awake = healthy.stages == WAKE
    assert np.corrcoef(opened[awake], np.log(alpha[awake]))[0, 1] < -0.4
    assert np.corrcoef(opened[awake], blinking[awake])[0, 1] > 0.4


def test_spindles_mark_n2(healthy: Recording) -> None:
    frequency = healthy.body.subject.spindle_frequency
    sigma = healthy.power("C3", frequency - 1, frequency + 1)
    beside = healthy.power("C3", frequency + 4, frequency + 8)
    ratio = healthy.by_stage(sigma / beside)
    assert ratio[N2] > 1.3 * np.delete(ratio, [N2, N3]).max()
    assert ratio[N2] > ratio[REM] * 2


def test_slow_waves_mark_n3(healthy: Recording) -> None:
    delta = healthy.by_stage(healthy.power("F3", 0.5, 2))
    assert delta[N3] > 3 * delta[N2]
    assert delta[N2] > 1.5 * max(delta[WAKE], delta[REM])
    low_pass = signal.butter(4, 4, fs=256, output="sos")
    smooth = signal.sosfiltfilt(low_pass, healthy.epochs("F3")[healthy.stages == N3])
    pieces = smooth.reshape(-1, 2 * 256)  # two seconds hold about two slow waves
    assert np.mean(np.ptp(pieces, 1) > 75) > 0.5  # AASM: N3 has them for 20 % of the epoch


def test_background_falls_with_frequency(healthy: Recording) -> None:
    steps = [np.median(healthy.power("C3", f, f + 2)) for f in (3, 20, 30, 40)]
    assert np.all(np.diff(steps) < 0)


def test_both_eyes_turn_together_in_rem_and_show_the_same_slow_waves_in_n3(
    healthy: Recording,
) -> None:
    left, right = healthy.epochs("E1"), healthy.epochs("E2")
    left, right = left - left.mean(1, keepdims=True), right - right.mean(1, keepdims=True)
    correlation = healthy.by_stage((left * right).mean(1) / rms(left) / rms(right))
    assert correlation[REM] < -0.5  # opposite polarity: conjugate movement
    assert correlation[N1] < -0.3
    assert correlation[N3] > 0.3


def test_eyes_roll_slowly_in_n1_and_jump_in_rem(healthy: Recording) -> None:
    difference = healthy.epochs("E1") - healthy.epochs("E2")
    slow = signal.sosfiltfilt(signal.butter(2, 0.6, fs=256, output="sos"), difference)
    speed = np.abs(np.diff(signal.decimate(difference, 8, axis=1), axis=1))
    jumps = np.quantile(speed, 0.99, axis=1)
    rolling = healthy.by_stage(rms(slow))
    assert rolling[N1] > 3 * max(rolling[N2], rolling[N3])
    jumping = healthy.by_stage(jumps)
    assert jumping[REM] > 2 * max(jumping[N1], jumping[N2], jumping[N3])


def test_chin_tone_falls_from_wake_to_rem(healthy: Recording) -> None:
    tone = healthy.by_stage(rms(healthy.epochs("chin")))
    assert np.all(np.diff(tone) < 0), tone
    assert tone[WAKE] > 3 * tone[REM]


def detected_beats(recording: Recording) -> np.ndarray:
    """Times of the R peaks that a plain detector finds."""
    rate = recording.rate("ecg")
    band = signal.butter(2, (8, 40), "band", fs=rate, output="sos")
    steep = signal.sosfiltfilt(band, recording.samples("ecg"))
    height = 0.5 * np.quantile(steep.reshape(-1, 5 * rate).max(1), 0.5)
    return signal.find_peaks(steep, height=height, distance=int(0.35 * rate))[0] / rate


def test_r_peaks_are_where_the_heart_beats(healthy: Recording) -> None:
    found, true = detected_beats(healthy), healthy.body.heart.beats
    nearest = np.abs(found[np.searchsorted(found, true).clip(1, len(found) - 1)] - true)
    before = np.abs(found[np.searchsorted(found, true).clip(1, len(found) - 1) - 1] - true)
    assert np.mean(np.minimum(nearest, before) < 0.02) > 0.98
    assert abs(len(found) - len(true)) < 0.02 * len(true)


def test_heart_rate_follows_the_stages_and_the_breath(healthy: Recording) -> None:
    beats = detected_beats(healthy)
    middle, rate = (beats[1:] + beats[:-1]) / 2, 60 / np.diff(beats)
    epoch = (middle // 30).astype(int)
    by_epoch = np.array([np.median(rate[epoch == e]) for e in range(len(healthy.stages))])
    level = healthy.by_stage(by_epoch)
    assert level[WAKE] > level[N2] + 4
    assert level[N2] > level[N3]
    assert level[REM] > level[N2] + 2
    assert abs(level[N2] - healthy.body.subject.heart_rate) < 4
    grid = np.arange(healthy.body.timeline.points) / 4
    phase = np.interp(middle, grid, healthy.body.breathing.phase)
    deep = healthy.stages[epoch] == N3
    quick = rate - signal.medfilt(rate, 15)
    assert np.corrcoef(quick[deep], np.sin(phase)[deep])[0, 1] > 0.5


def breath_intervals(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Time and length of every breath of the chest belt."""
    rate = recording.rate("thorax")
    band = signal.butter(2, (0.1, 0.7), "band", fs=rate, output="sos")
    belt = signal.sosfiltfilt(band, recording.samples("thorax"))
    times = np.flatnonzero((belt[1:] > 0) & (belt[:-1] <= 0)) / rate
    return times[1:], np.diff(times)


def test_breathing_is_regular_in_n3_and_not_in_rem(healthy: Recording) -> None:
    times, lengths = breath_intervals(healthy)
    stage = healthy.stages[(times // 30).astype(int)]
    spread = [np.median(np.abs(np.diff(np.log(lengths[stage == s])))) for s in (N3, N2, REM)]
    assert spread[0] < spread[1] < spread[2]
    assert spread[2] > 2 * spread[0]
    rate = 60 / np.median(lengths[stage == N2])
    assert rate == pytest.approx(healthy.body.subject.respiratory_rate, rel=0.12)


def test_apneas_stop_the_flow_but_not_the_effort(apneic: Recording) -> None:
    apneas = kinds(apneic.body.events.apneas, OBSTRUCTIVE)
    assert len(apneas.onset) > 20

    def left(source: str) -> float:
        """Depth of breath in the apnea over that before it."""
        inside, before = (apneic.around(source, apneas.onset + t, 0, 7) for t in (3, -10))
        return float(np.median(rms(inside) / rms(before)))

    flow, effort = left("nasal pressure"), left("thorax")
    assert flow < 0.1  # AASM: an apnea loses at least 90 % of the flow
    assert effort > 0.4


def test_chest_and_abdomen_part_in_obstruction(apneic: Recording) -> None:
    apneas = kinds(apneic.body.events.apneas, OBSTRUCTIVE)

    def agreement(start: np.ndarray) -> float:
        chest, belly = (apneic.around(s, start, 0, 8) for s in ("thorax", "abdomen"))
        return float(
            np.median([np.corrcoef(c, b)[0, 1] for c, b in zip(chest, belly, strict=True)])
        )

    assert agreement(apneas.onset + 2.5) < -0.3
    assert agreement(apneas.onset - 12) > 0.7


def test_central_apneas_stop_the_effort(apneic: Recording) -> None:
    apneas = kinds(apneic.body.events.apneas, CENTRAL)
    assert len(apneas.onset) > 5
    inside, before = (apneic.around("thorax", apneas.onset + t, 0, 6) for t in (3, -10))
    assert np.median(rms(inside) / rms(before)) < 0.15


def test_oxygen_falls_about_twenty_seconds_after_the_breath(apneic: Recording) -> None:
    apneas = apneic.body.events.apneas
    gap = np.diff(np.concatenate([[0], apneas.onset]))
    alone = apneas.onset[(apneas.size > 0) & (gap > 60)]
    dips = apneic.around("oxygen", alone, 5, 55)
    dips = dips - dips[:, :5].mean(1, keepdims=True)
    course = dips.mean(0)
    lowest = int(course.argmin()) - 5  # seconds from the onset
    assert course.min() < -2
    assert 25 < lowest < 50  # a 20-second apnea and the delay
    assert abs(course[5:13].mean()) < 0.5  # nothing yet in the first seconds


def test_apneas_end_in_arousals_that_all_organs_show(apneic: Recording) -> None:
    arousals = apneic.body.events.arousals
    ends = apneic.body.events.apneas.end
    near = np.abs(arousals.onset[:, None] - ends).min(0) < 3
    assert near.mean() > 0.6
    strong = arousals.onset[arousals.size > 0.7]
    chin = [rms(apneic.around("chin", strong + t, 0, 3)) for t in (0.5, -6)]
    assert np.median(chin[0] / chin[1]) > 1.3
    rate = apneic.body.heart.rate
    beats = [np.interp(strong + t, np.arange(len(rate)) / 4, rate) for t in (6, -3)]
    assert np.median(beats[0] - beats[1]) > 4
    fast = signal.butter(4, 16, "high", fs=256, output="sos")
    eeg = [rms(signal.sosfiltfilt(fast, apneic.around("C3", strong + t, 0, 3))) for t in (0.5, -6)]
    assert np.median(eeg[0] / eeg[1]) > 1.2


@pytest.mark.parametrize("source", ["ecg", "C3", "O1", "E2", "chin", "left leg", "thorax"])
def test_the_heart_beats_in_every_modality(healthy: Recording, source: str) -> None:
    beats = healthy.body.heart.beats
    shifted = beats + generator().uniform(-20, 20, len(beats))
    fast = signal.butter(2, 1.5, "high", fs=healthy.rate(source), output="sos")

    def average(times: np.ndarray) -> np.ndarray:
        pieces = signal.sosfiltfilt(fast, healthy.around(source, times, 2, 2.5))
        return np.median(pieces, 0)[int(1.75 * healthy.rate(source)) :][: healthy.rate(source)]

    assert np.ptp(average(beats)) > 3 * np.ptp(average(shifted))


@pytest.mark.parametrize("source", ["ecg", "C3", "thorax", "nasal pressure", "chin"])
def test_the_breath_sways_every_modality(healthy: Recording, source: str) -> None:
    rate = healthy.rate(source)
    samples = healthy.samples(source)
    if source == "chin":
        samples = np.abs(samples)
    phase = healthy.body.breathing.phase
    # Mean over a quarter of a second, against the breath and against a breath of another minute.
    course = samples.reshape(-1, rate // 4).mean(1)
    course = course - signal.medfilt(course, 61)
    turn = np.exp(1j * phase[:-1])
    locked, chance = (
        abs(np.mean(np.clip(course, *np.quantile(course, [0.05, 0.95])) * t))
        for t in (turn, np.roll(turn, 4 * 61))
    )
    assert locked > 4 * chance


def test_events_cluster() -> None:
    """Counts vary more than the 0.7 of their mean that independent arousals would show.

    (They cannot overlap; without that it would be 1.)
    """
    subject = replace(night_subject(SEED, 0), arousals=60, apnea_index=0, limb_index=0)
    all_n2 = np.full(960 * 4, N2, np.int8)
    onsets = draw_events(generator(), subject, all_n2).arousals.onset
    counts = np.histogram(onsets, np.arange(0, 960 * 4 * 30 + 1, 300))[0]
    assert counts.mean() == pytest.approx(5, rel=0.3)
    assert counts.var() > 1.1 * counts.mean()


def test_legs_move_in_trains_on_their_side() -> None:
    number = next(n for n in range(999) if night_subject(SEED, n).limb_index > 50)
    legs = Recording(simulate_night(SEED, number, 2, "dashes").body)
    moves = legs.body.events.limb_movements
    intervals = np.diff(moves.onset)
    neighbours = intervals[:-1], intervals[1:]
    in_train = np.maximum(*neighbours) < 45
    assert in_train.mean() > 0.4
    change = np.abs(np.log(neighbours[1] / neighbours[0]))[in_train]
    assert np.median(change) < 0.2  # periodic: chance alone gives 0.5 and more
    left = kinds(moves, LEFT)
    left_leg, right_leg = (
        np.median(rms(legs.around(side, left.onset, 0, 0.6)))
        / np.median(rms(legs.around(side, left.onset, 6, -5)))
        for side in ("left leg", "right leg")
    )
    assert left_leg > 3
    assert right_leg < 2
    in_rem = legs.stages[(moves.onset // 30).astype(int)] == REM
    assert not in_rem.any()


def test_events_come_as_often_as_the_subject_has_them() -> None:
    drawn, expected = [], []
    for number in range(40):
        night = simulate_night(SEED, number, 8)
        hours = np.count_nonzero(night.stages) / 120
        drawn.append(len(night.body.events.apneas.onset) / hours)
        expected.append(night.subject.apnea_index)
    assert np.corrcoef(np.log(drawn), np.log(expected))[0, 1] > 0.97
    assert 0.8 < np.median(np.array(drawn) / expected) < 1.2


def test_mains_hum_is_small(healthy: Recording) -> None:
    hum = max(np.median(healthy.power("C3", f - 0.5, f + 0.5)) for f in (50, 60))
    assert hum < 0.1 * np.median(healthy.power("C3", 0.5, 4))


def measured_heart_rate(night: SimulatedNight) -> float:
    return float(60 / np.median(np.diff(detected_beats(Recording(night.body)))))


def measured_respiratory_rate(night: SimulatedNight) -> float:
    return float(60 / np.median(breath_intervals(Recording(night.body))[1]))


def measured_desaturation(night: SimulatedNight) -> float:
    oxygen = Recording(night.body).samples("oxygen")
    return float(np.log(oxygen.std()))


@pytest.mark.parametrize(
    ("latent", "measure", "least"),
    [
        ("heart_rate", measured_heart_rate, 0.9),
        ("respiratory_rate", measured_respiratory_rate, 0.8),
        ("apnea", measured_desaturation, 0.6),
    ],
)
def test_traits_can_be_read_from_half_an_hour(
    latent: str, measure: Callable[[SimulatedNight], float], least: float
) -> None:
    nights = [simulate_night(SEED, number, 0.5, "dashes") for number in range(25)]
    truth = [night.subject.latents[latent] for night in nights]
    assert np.corrcoef(truth, [measure(night) for night in nights])[0, 1] > least
