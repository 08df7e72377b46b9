"""What happens in a night: breathing events, arousals, leg and body movements, with their times."""

from dataclasses import dataclass

import numpy as np

from sleepfm_jax.input_pipeline.simulation.hypnograms import EPOCH, Stage
from sleepfm_jax.input_pipeline.simulation.subjects import Subject
from sleepfm_jax.input_pipeline.simulation.waveforms import drift

HYPOPNEA, OBSTRUCTIVE, CENTRAL = 0, 1, 2  # kinds of breathing events
LEFT, RIGHT, BOTH = 0, 1, 2  # legs

# Relative rate of breathing events by stage: fewer in N3, more in REM. Wake has none.
_APNEA_RATE = {Stage.N1: 1.2, Stage.N2: 1.0, Stage.N3: 0.5, Stage.REM: 1.4}
_LIMB_RATE = {Stage.N1: 1.0, Stage.N2: 1.0, Stage.N3: 0.4}
_TRAIN = 5.0  # leg movements in a train, on average
_CLUSTERING, _CLUSTER = 0.6, 300.0  # events cluster: spread of the log rate, memory in seconds
_RECOVERY = 12.0  # seconds at least between two breathing events


@dataclass(frozen=True)
class Episodes:
    """Events of one kind in time order.

    Attributes:
        onset: (n,) seconds from the recording's start.
        duration: (n,) seconds.
        size: (n,) what sets them apart: intensity, side or kind.
    """

    onset: np.ndarray
    duration: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, rows: list[tuple[float, float, float]]) -> "Episodes":
        """From (onset, duration, size) rows in any order."""
        onset, duration, size = np.array(sorted(rows), float).reshape(-1, 3).T
        return cls(onset, duration, size)

    @property
    def end(self) -> np.ndarray:
        """(n,) seconds from the recording's start."""
        return self.onset + self.duration


@dataclass(frozen=True)
class NightEvents:
    """All events of one night.

    Attributes:
        apneas: size is HYPOPNEA, OBSTRUCTIVE or CENTRAL.
        arousals: size 0 to 1, intensity.
        limb_movements: size is LEFT, RIGHT or BOTH.
        body_movements: size 0 to 1, intensity.
    """

    apneas: Episodes
    arousals: Episodes
    limb_movements: Episodes
    body_movements: Episodes


def draw_events(
    generator: np.random.Generator, subject: Subject, stages: np.ndarray
) -> NightEvents:
    """Events at the subject's rates, where the stages allow them.

    Most apneas end in an arousal, as do some leg movements; arousals of wake are movements.

    Args:
        generator: source of the random numbers.
        subject: whose rates they follow.
        stages: (epochs,) hypnogram.
    """
    apneas = _apneas(generator, subject, stages)
    limbs = _limb_movements(generator, subject, stages)
    arousals = _arousals(generator, subject, stages, apneas, limbs)
    return NightEvents(apneas, arousals, limbs, _body_movements(generator, stages, arousals))


def _apneas(generator: np.random.Generator, subject: Subject, stages: np.ndarray) -> Episodes:
    rows: list[tuple[float, float, float]] = []
    for visit in _visits(generator, subject.apnea_index, stages, _APNEA_RATE):
        recovered = rows[-1][0] + rows[-1][1] + _RECOVERY if rows else 0.0
        time = visit if visit > recovered else recovered + generator.exponential(6)
        stage = _stage_at(stages, time)
        if stage in (None, Stage.WAKE):
            continue
        median = 26 if stage == Stage.REM else 20
        duration = np.clip(median * np.exp(0.25 * generator.standard_normal()), 11, 60)
        severe = generator.random() < 0.25 + subject.apnea_index / 100
        central = severe and stage != Stage.REM and generator.random() < subject.central_share
        kind = CENTRAL if central else OBSTRUCTIVE if severe else HYPOPNEA
        rows.append((time, float(duration), kind))
    return Episodes.of(rows)


def _limb_movements(
    generator: np.random.Generator, subject: Subject, stages: np.ndarray
) -> Episodes:
    """Trains of at least four movements, 15 to 35 s apart (AASM: 5 to 90), fewer in N3."""
    rows: list[tuple[float, float, float]] = []
    train_rate = subject.limb_index / _TRAIN
    for visit in _visits(generator, train_rate, stages, _LIMB_RATE):
        time = max(visit, rows[-1][0] + 15 if rows else 0.0)
        period = generator.uniform(15, 35)
        side = float(generator.choice([LEFT, RIGHT, BOTH], p=[0.3, 0.3, 0.4]))
        for _ in range(4 + generator.poisson(_TRAIN - 4)):
            if _stage_at(stages, time) not in _LIMB_RATE:
                break
            rows.append((time, generator.uniform(0.6, 3.5), side))
            time += period * generator.uniform(0.85, 1.15)
    return Episodes.of(rows)


def _arousals(
    generator: np.random.Generator,
    subject: Subject,
    stages: np.ndarray,
    apneas: Episodes,
    limbs: Episodes,
) -> Episodes:
    asleep = {Stage.N1: 1.3, Stage.N2: 1.0, Stage.N3: 0.3, Stage.REM: 0.9}
    onsets = np.concatenate(
        [
            _visits(generator, subject.arousals, stages, asleep),
            apneas.end[generator.random(len(apneas.end)) < 0.8] - 1.0,
            limbs.onset[generator.random(len(limbs.onset)) < 0.25] + 0.5,
        ]
    )
    rows: list[tuple[float, float, float]] = []
    for onset in np.sort(onsets):
        free = not rows or onset > rows[-1][0] + rows[-1][1] + 5
        if free and _stage_at(stages, onset) not in (None, Stage.WAKE):
            rows.append((onset, generator.uniform(3, 12), generator.uniform(0.4, 1)))
    return Episodes.of(rows)


def _body_movements(
    generator: np.random.Generator, stages: np.ndarray, arousals: Episodes
) -> Episodes:
    """Restlessness of wake, the move at each awakening, and what strong arousals bring."""
    restless = _visits(generator, 25, stages, {Stage.WAKE: 1.0})
    awakes = np.flatnonzero((stages[1:] == Stage.WAKE) & (stages[:-1] != Stage.WAKE)) + 1
    strong = arousals.onset[(arousals.size > 0.85) & (generator.random(len(arousals.size)) < 0.5)]
    onsets = np.concatenate(
        [restless, awakes * EPOCH + generator.uniform(0, 8, len(awakes)), strong + 1.0]
    )
    return Episodes.of(
        [(time, generator.uniform(2, 9), generator.uniform(0.3, 1)) for time in np.sort(onsets)]
    )


def _visits(
    generator: np.random.Generator, per_hour: float, stages: np.ndarray, weight: dict[Stage, float]
) -> np.ndarray:
    """Sorted times of events at `per_hour` times the stage's weight, more and less by minutes."""
    rates = np.array([weight.get(stage, 0.0) for stage in Stage])[stages] * per_hour * EPOCH / 3600
    restless = drift(generator, len(stages), _CLUSTER, step=EPOCH)
    rates *= np.exp(_CLUSTERING * restless - _CLUSTERING**2 / 2)
    starts = np.repeat(np.arange(len(stages)) * EPOCH, generator.poisson(rates))
    return np.sort(starts + generator.uniform(0, EPOCH, len(starts)))


def _stage_at(stages: np.ndarray, time: float) -> Stage | None:
    """None after the recording's end."""
    epoch = int(time // EPOCH)
    return Stage(stages[epoch]) if epoch < len(stages) else None
