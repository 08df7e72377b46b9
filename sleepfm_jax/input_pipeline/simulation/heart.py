"""The heart: rate by stage, breath and arousal; the beats; ECG, pulse wave and pulse rate."""

from dataclasses import dataclass

import numpy as np
from scipy import signal

from sleepfm_jax.input_pipeline.simulation.breathing import Breathing
from sleepfm_jax.input_pipeline.simulation.subjects import Subject
from sleepfm_jax.input_pipeline.simulation.timeline import Timeline
from sleepfm_jax.input_pipeline.simulation.waveforms import (
    GRID_RATE,
    coloured_noise,
    drift,
    place,
    upsample,
    white_noise,
)

# Waves of the ECG: seconds from the R peak, width (s), height in lead II (mV).
_P_QRS = ((-0.17, 0.022, 0.13), (-0.028, 0.008, -0.12), (0.0, 0.010, 1.1), (0.03, 0.010, -0.22))
_T_WIDTH, _T_HEIGHT = 0.045, 0.28
_QT_AT_60 = 0.29  # R to the T wave's peak at 60 beats a minute


@dataclass(frozen=True)
class Heart:
    """One night's heart.

    Attributes:
        rate: (points,) beats per minute on the grid.
        beats: (K,) times of the R peaks, seconds.
    """

    rate: np.ndarray
    beats: np.ndarray


def draw_heart(
    generator: np.random.Generator, subject: Subject, timeline: Timeline, breathing: Breathing
) -> Heart:
    """Heart rate and beats.

    Slower and more respiratory from wake to N3, faster and unsteady in REM (Somers et al., NEJM
    1993); each breath in speeds it up, an obstruction slows it, the arousal after it makes it jump.
    """
    points = timeline.points
    rate = subject.heart_rate + timeline.by_stage(9, 3, 0, -3, 5)
    rate += 4.5 * drift(generator, points, 250)
    rate += timeline.by_stage(2.0, 1.2, 0.8, 0.4, 2.2) * drift(generator, points, 10)
    depth = subject.sinus_arrhythmia * timeline.by_stage(0.5, 0.7, 0.9, 1.0, 0.5)
    rate += depth * np.sqrt(breathing.effort) * np.sin(breathing.phase)
    rate -= 4 * breathing.obstruction
    lag = np.arange(0, 30, 1 / GRID_RATE)
    surge = lag * np.exp(-lag / 4)
    surge *= 1 / (GRID_RATE * surge.max() * 6)  # a 6-s arousal reaches the height below
    stir = np.maximum(timeline.arousal, timeline.movement)
    rate += 14 * signal.fftconvolve(stir, surge)[:points]
    rate = np.clip(rate, 35, 150)
    count = np.cumsum(rate) / 60 / GRID_RATE
    numbers = np.arange(1, int(count[-1]))
    beats = np.interp(numbers, count, np.arange(points) / GRID_RATE)
    return Heart(rate, beats + 0.004 * generator.standard_normal(len(beats)))


def beat_wave(heart: Heart, breathing: Breathing, samples: int, rate: int) -> np.ndarray:
    """(samples,) mV: P, QRS and T of every beat, taller while breathing out."""
    wave = np.zeros(samples, np.float32)
    time = np.arange(-0.25, 0.12, 1 / rate)
    p_qrs = sum(h * np.exp(-0.5 * ((time - c) / w) ** 2) for c, w, h in _P_QRS)
    tail = np.arange(-0.15, 0.15, 1 / rate)
    t_wave = _T_HEIGHT * np.exp(-0.5 * (tail / _T_WIDTH) ** 2)
    grid = np.arange(len(breathing.phase)) / GRID_RATE
    height = 1 - 0.08 * np.interp(heart.beats, grid, np.sin(breathing.phase))
    interval = 60 / np.interp(heart.beats, grid, heart.rate)
    place(wave, heart.beats - 0.25, np.multiply.outer(height, p_qrs), rate)
    place(wave, heart.beats + _QT_AT_60 * np.sqrt(interval) - 0.15, _repeated(t_wave, height), rate)
    return wave


def ecg(
    generator: np.random.Generator, beats: np.ndarray, timeline: Timeline, rate: int
) -> np.ndarray:
    """(samples,) mV: the beats (`beat_wave`) with baseline wander and the noise of muscles."""
    samples = timeline.seconds * rate
    trace = beats + coloured_noise(generator, samples, rate, 1.5, low=0.2) * upsample(
        0.02 + 0.4 * timeline.movement, rate
    )
    muscles = upsample(0.012 + 0.05 * timeline.movement, rate)
    return trace + muscles * white_noise(generator, samples)


def pulse_wave(
    generator: np.random.Generator, heart: Heart, breathing: Breathing, seconds: int, rate: int
) -> np.ndarray:
    """(samples,) the finger's photoplethysmogram, a quarter of a second after the heart."""
    wave = np.zeros(seconds * rate, np.float32)
    time = np.arange(0, 0.9, 1 / rate)
    systole = (time / 0.12) ** 2 * np.exp(2 - 2 * time / 0.12)
    dicrotic = 0.35 * np.exp(-0.5 * ((time - 0.38) / 0.06) ** 2)
    grid = np.arange(len(breathing.phase)) / GRID_RATE
    height = 1 + 0.1 * np.interp(heart.beats, grid, np.sin(breathing.phase))
    place(wave, heart.beats + 0.25, _repeated(systole + dicrotic, height), rate)
    return wave - wave.mean() + 0.02 * white_noise(generator, len(wave))


def pulse_rate(heart: Heart) -> np.ndarray:
    """(seconds,) beats per minute in whole numbers, averaged over about eight seconds."""
    width = 8 * GRID_RATE
    smooth = np.convolve(np.pad(heart.rate, (width - 1, 0), mode="edge"), np.ones(width) / width)
    return np.round(smooth[width - 1 : width - 1 + len(heart.rate) - 1 : GRID_RATE])


def _repeated(shape: np.ndarray, height: np.ndarray) -> np.ndarray:
    """(K, length): one shape scaled for each beat."""
    return np.multiply.outer(height, shape)
