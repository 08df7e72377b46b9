"""The EOG: blinks and glances of wake, slow eye movements of N1, rapid ones of REM."""

import numpy as np

from sleepfm_jax.input_pipeline.simulation.brain import Brain
from sleepfm_jax.input_pipeline.simulation.hypnograms import Stage
from sleepfm_jax.input_pipeline.simulation.timeline import Timeline, moments
from sleepfm_jax.input_pipeline.simulation.waveforms import (
    GRID_RATE,
    coloured_noise,
    place,
    rhythm,
    upsample,
    white_noise,
)

_FADE = 0.7  # seconds; amplifiers are AC-coupled, so a held gaze fades
_EEG_SHARE = 0.45  # of the frontal EEG in each EOG channel, with the same sign in both


def draw_gaze(generator: np.random.Generator, timeline: Timeline, rate: int) -> np.ndarray:
    """Eye movements in µV as E1 sees them; E2 sees the same with the opposite sign.

    Both sensors stand off the horizontal and the vertical axis (AASM: one below, one above), so
    that blinks, too, are out of phase.

    Returns:
        (samples,) float32.
    """
    slow = 45 * timeline.by_stage(0.06, 1.0, 0.08, 0, 0)
    slow += 25 * timeline.stage_weight[Stage.WAKE] * (1 - timeline.eyes_open)
    gaze = rhythm(generator, slow, rate, 0.35, 0.2)
    glances = timeline.stage_weight[Stage.WAKE] * timeline.eyes_open
    _add_saccades(gaze, generator, 0.5 * glances, rate)
    _add_saccades(gaze, generator, 1.3 * _phasic(generator, timeline), rate)
    blinks = moments(generator, 0.35 * glances + 0.02 * timeline.stage_weight[Stage.WAKE])
    time = np.arange(0, 0.5, 1 / rate)
    blink = -np.exp(-0.5 * ((time - 0.2) / 0.06) ** 2)
    place(gaze, blinks, np.multiply.outer(generator.uniform(80, 200, len(blinks)), blink), rate)
    return gaze


def eog(
    generator: np.random.Generator, gaze: np.ndarray, brain: Brain, timeline: Timeline, sign: int
) -> np.ndarray:
    """(samples,) float32 µV: E1 (`sign` 1) or E2 (`sign` -1) against a mastoid."""
    trace = np.float32(sign * generator.uniform(0.9, 1.1)) * gaze
    trace += np.float32(_EEG_SHARE) * brain.regions["frontal"]
    background = 6 * coloured_noise(generator, len(gaze), brain.rate, 1.8)
    background *= upsample(1 + 20 * timeline.movement, brain.rate)
    return trace + background + white_noise(generator, len(gaze))


def _phasic(generator: np.random.Generator, timeline: Timeline) -> np.ndarray:
    """(points,) 1 in the bursts of REM, about 5 s of every 12."""
    edges = np.cumsum(
        np.stack(
            [generator.exponential(7, timeline.points), generator.exponential(5, timeline.points)],
            1,
        )
    )
    inside = np.searchsorted(edges, np.arange(timeline.points) / GRID_RATE, side="right")
    return (inside % 2) * (timeline.stage_weight[Stage.REM] > 0.5)


def _add_saccades(
    gaze: np.ndarray, generator: np.random.Generator, per_second: np.ndarray, rate: int
) -> None:
    """Adds conjugate jumps that rise within 60 ms and fade; they tend to alternate in side."""
    times = moments(generator, per_second)
    side = np.where(np.arange(len(times)) % 2, 1, -1) * generator.choice(
        [1, -1], len(times), p=[0.8, 0.2]
    )
    time = np.arange(0, 4 * _FADE, 1 / rate)
    jump = (1 - np.exp(-time / 0.02)) * np.exp(-time / _FADE)
    place(gaze, times, np.multiply.outer(side * generator.uniform(45, 130, len(times)), jump), rate)
