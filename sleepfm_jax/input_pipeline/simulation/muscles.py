"""The EMG: a chin that loses its tone from wake to REM, and legs that move."""

import numpy as np
from scipy import signal

from sleepfm_jax.input_pipeline.simulation.breathing import AIRFLOW, Breathing
from sleepfm_jax.input_pipeline.simulation.events import (
    BOTH,
    Episodes,
    NightEvents,
)
from sleepfm_jax.input_pipeline.simulation.hypnograms import Stage
from sleepfm_jax.input_pipeline.simulation.subjects import Subject
from sleepfm_jax.input_pipeline.simulation.timeline import Timeline, envelope, moments
from sleepfm_jax.input_pipeline.simulation.waveforms import drift, upsample


def chin(
    generator: np.random.Generator,
    subject: Subject,
    timeline: Timeline,
    breathing: Breathing,
    rate: int,
) -> np.ndarray:
    """(samples,) float32 µV: tone by stage, twitches of REM, snoring.

    Tone falls from wake to N3 and is lowest in REM (AASM); `subject.atonia` sets how low.

    Args:
        generator: source of the random numbers.
        subject: whose tone, atonia and snoring it is.
        timeline: stages, arousals, movements.
        breathing: with every breath in the tongue's tone rises, and snoring shakes the chin.
        rate: Hz.
    """
    points = timeline.points
    tone = timeline.by_stage(1.0, 0.6, 0.42, 0.34, subject.atonia)
    tone *= np.exp(0.2 * drift(generator, points, 60))
    onsets = moments(generator, 0.12 * timeline.stage_weight[Stage.REM])
    twitches = Episodes.of([(onset, generator.uniform(0.1, 0.5), 1.0) for onset in onsets])
    tone += 0.6 * envelope(twitches, generator.uniform(0.3, 1, len(twitches.onset)), points, 0.2)
    tone += 1.0 * timeline.arousal + 2.5 * timeline.movement
    trace = subject.chin_tone * upsample(tone, rate) * _muscle_noise(generator, timeline, rate)
    airflow = breathing.wave(rate, AIRFLOW)
    trace *= 1 + 0.25 * airflow
    inhale = np.maximum(airflow, 0)
    snoring = 0.35 * subject.chin_tone * inhale * upsample(breathing.snoring, rate)
    return trace + snoring * _muscle_noise(generator, timeline, rate)


def leg(
    generator: np.random.Generator,
    timeline: Timeline,
    events: NightEvents,
    rate: int,
    side: int,
) -> np.ndarray:
    """(samples,) float32 µV of the left or right tibialis: quiet, then bursts of movement.

    Args:
        generator: source of the random numbers.
        timeline: for restless wake and body movements.
        events: leg movements; each belongs to one side or both.
        rate: Hz.
        side: LEFT or RIGHT.
    """
    moves = events.limb_movements
    mine = (moves.size == side) | (moves.size == BOTH)
    strength = generator.uniform(30, 80, len(mine)) * mine
    level = 3.5 * timeline.by_stage(1.4, 1.1, 1.0, 1.0, 0.8)
    level += envelope(moves, strength, timeline.points, 0.4)
    level += 45 * timeline.movement + 8 * timeline.arousal
    return upsample(level, rate) * _muscle_noise(generator, timeline, rate)


def _muscle_noise(generator: np.random.Generator, timeline: Timeline, rate: int) -> np.ndarray:
    """(samples,) float32 unit-variance noise from about 15 Hz up."""
    noise = generator.standard_normal(timeline.seconds * rate, dtype=np.float32)
    low, order = np.float32(15 / (rate / 2)), 2
    b, a = signal.butter(order, low, "high")
    noise = signal.lfilter(b.astype(np.float32), a.astype(np.float32), noise)
    return noise / noise.std()
