"""Hypnograms from a semi-Markov model of sleep cycles: 30-s epochs of Wake, N1, N2, N3 and REM."""

import enum

import numpy as np

from sleepfm_jax.input_pipeline.simulation.subjects import Subject

EPOCH = 30  # seconds
FULL_CYCLE = 90.0  # minutes
CYCLES = 2.2  # that a night too short for 90-minute cycles is given
SHORTEST_WITH_ALL_STAGES = 60  # epochs


class Stage(enum.IntEnum):
    """Sleep stages as the published staging files number them (spec §3)."""

    WAKE = 0
    N1 = 1
    N2 = 2
    N3 = 3
    REM = 4


STAGE_NAMES = {
    Stage.WAKE: "Wake",
    Stage.N1: "N1",
    Stage.N2: "N2",
    Stage.N3: "N3",
    Stage.REM: "REM",
}


def draw_hypnogram(generator: np.random.Generator, subject: Subject, epochs: int) -> np.ndarray:
    """A night's stages.

    Each cycle runs N1, N2, N3, N2, REM with gamma-distributed stays; the share of N3 falls and
    that of REM grows through the night (Carskadon & Dement, Principles and Practice of Sleep
    Medicine). Awakenings come at exponential intervals and lead back through N1. Nights under
    3.3 hours get shorter cycles, so that all stages occur; from 30 minutes on a hypnogram that
    lacks one is drawn again.

    Returns:
        (epochs,) int8 of `Stage` numbers.
    """
    while True:
        stages = _interrupted(generator, subject, _cycles(generator, subject, epochs))[:epochs]
        counts = np.bincount(stages, minlength=len(Stage))
        if epochs < SHORTEST_WITH_ALL_STAGES or counts.min() >= 2:
            return stages


def _cycles(generator: np.random.Generator, subject: Subject, epochs: int) -> list[int]:
    """The planned night without awakenings, at least `epochs` long."""
    cycle = min(FULL_CYCLE, epochs * EPOCH / 60 / CYCLES)  # minutes
    plan: list[int] = []

    def stay(stage: Stage, minutes: float) -> None:
        plan.extend([stage] * round(generator.gamma(6, minutes / 6) * 60 / EPOCH))

    stay(Stage.WAKE, max(subject.sleep_latency * cycle / FULL_CYCLE, 1.0))
    while len(plan) < epochs:
        progress = len(plan) / epochs
        deep = min(0.4 * subject.deep_sleep * np.exp(-2 * progress), 0.6)
        dream = 0.16 + 0.2 * progress
        light = 1 - deep - dream
        plan.append(Stage.N1)
        stay(Stage.N1, 0.08 * cycle)
        stay(Stage.N2, 0.6 * light * cycle)
        stay(Stage.N3, deep * cycle)
        stay(Stage.N2, 0.25 * light * cycle)
        stay(Stage.REM, dream * cycle)
    return plan


def _interrupted(generator: np.random.Generator, subject: Subject, plan: list[int]) -> np.ndarray:
    """The plan with awakenings put in; what is displaced moves later."""
    hours_between = 1 / subject.awakenings
    stages: list[int] = []
    left = generator.exponential(hours_between)
    for stage in plan:
        stages.append(stage)
        if stage == Stage.WAKE:
            continue
        left -= EPOCH / 3600
        if left < 0:
            stages += [Stage.WAKE] * min(generator.geometric(0.4), 12)
            stages += [Stage.N1] * min(generator.geometric(0.5), 4)
            if stage == Stage.N3:
                stages += [Stage.N2] * min(generator.geometric(0.4), 6)
            left = generator.exponential(hours_between)
    return np.array(stages, np.int8)
