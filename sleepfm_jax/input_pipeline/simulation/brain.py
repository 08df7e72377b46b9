"""The EEG: 1/f background, alpha, theta, spindles, K complexes, slow waves, sawtooth waves."""

from dataclasses import dataclass

import numpy as np

from sleepfm_jax.input_pipeline.simulation.events import NightEvents
from sleepfm_jax.input_pipeline.simulation.hypnograms import EPOCH, Stage
from sleepfm_jax.input_pipeline.simulation.subjects import Subject
from sleepfm_jax.input_pipeline.simulation.timeline import Timeline, moments
from sleepfm_jax.input_pipeline.simulation.waveforms import (
    coloured_noise,
    place,
    rhythm,
    upsample,
    white_noise,
)

# Share of each generator that reaches the frontal, central and occipital electrodes.
REGIONS = ("frontal", "central", "occipital")
_ALPHA = (0.35, 0.55, 1.0)
_THETA = (0.8, 1.0, 0.7)
_SLOW = (1.0, 0.85, 0.55)
_SPINDLE = (0.8, 1.0, 0.4)
_K_COMPLEX = (1.0, 0.9, 0.4)
_VERTEX = (0.6, 1.0, 0.3)
_SAWTOOTH = (0.8, 1.0, 0.4)
_FAST = (1.0, 0.8, 0.6)


@dataclass(frozen=True)
class Brain:
    """Cortical activity that the electrodes of one region share, in µV.

    Attributes:
        rate: Hz.
        regions: (samples,) float32 by name in `REGIONS`.
    """

    rate: int
    regions: dict[str, np.ndarray]


def draw_brain(
    generator: np.random.Generator,
    subject: Subject,
    timeline: Timeline,
    events: NightEvents,
    rate: int,
) -> Brain:
    """The features by which AASM defines the stages, in each region.

    Args:
        generator: source of the random numbers.
        subject: whose alpha, spindles and slow waves they are.
        timeline: stages, arousals and depth of sleep.
        events: arousals, before which K complexes cluster.
        rate: Hz of all EEG and EOG channels of the night.
    """
    regions = {name: np.zeros(timeline.seconds * rate, np.float32) for name in REGIONS}

    def add(source: np.ndarray, weights: tuple[float, ...]) -> None:
        for name, weight in zip(REGIONS, weights, strict=True):
            regions[name] += np.float32(weight) * source

    depth = np.exp(0.3 * timeline.depth)
    closed = 1 - 0.85 * timeline.eyes_open
    alpha = subject.alpha * (
        timeline.stage_weight[Stage.WAKE] * closed
        + timeline.by_stage(0, 0.22, 0.08, 0.04, 0.15)
        + 0.5 * timeline.arousal
    )
    add(rhythm(generator, alpha, rate, subject.alpha_frequency, 1.2), _ALPHA)
    theta = timeline.by_stage(2.6, 8, 6.5, 5, 6) * np.exp(0.2 * timeline.depth)
    add(rhythm(generator, theta, rate, 5.5, 1.9), _THETA)
    slow = subject.slow_wave * timeline.by_stage(0.05, 0.09, 0.26, 1.0, 0.09) * depth
    slow *= 1 - 0.6 * timeline.arousal
    add(rhythm(generator, slow, rate, 1.0, 0.8), _SLOW)
    fast = timeline.by_stage(4.5, 3.0, 1.8, 1.2, 2.6) + 4 * timeline.arousal
    add(upsample(fast, rate) * _beta(generator, timeline.seconds * rate, rate), _FAST)

    for times, shapes, weights in (
        (*_spindles(generator, subject, timeline, rate), _SPINDLE),
        (*_k_complexes(generator, timeline, events, rate), _K_COMPLEX),
        (*_vertex_waves(generator, timeline, rate), _VERTEX),
        (*_sawtooth_waves(generator, timeline, rate), _SAWTOOTH),
    ):
        source = np.zeros(timeline.seconds * rate, np.float32)
        place(source, times, shapes, rate)
        add(source, weights)
    return Brain(rate, regions)


def electrode(
    generator: np.random.Generator,
    brain: Brain,
    timeline: Timeline,
    region: str,
) -> np.ndarray:
    """(samples,) float32 µV: a region's activity plus what this electrode alone sees.

    Args:
        generator: source of the random numbers.
        brain: the regions.
        timeline: stages set the background's level, movements raise it.
        region: one of `REGIONS`.
    """
    samples = timeline.seconds * brain.rate
    exponent = generator.uniform(1.6, 2.0)
    background = 8 * coloured_noise(generator, samples, brain.rate, exponent)
    level = timeline.by_stage(1, 0.95, 1.15, 1.35, 0.9) + 15 * timeline.movement
    background *= upsample(level, brain.rate)
    background += generator.uniform(0.8, 1.6) * white_noise(generator, samples)
    return np.float32(generator.uniform(0.9, 1.1)) * brain.regions[region] + background


def _beta(generator: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """Unit-variance noise from 13 Hz up, falling slowly: white noise less its slow part."""
    noise = coloured_noise(generator, samples, rate, 1.0, low=20)
    noise[1:] -= noise[:-1] * np.float32(0.7)
    return noise / noise.std()


def _spindles(
    generator: np.random.Generator, subject: Subject, timeline: Timeline, rate: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Waxing and waning 11-16 Hz for 0.5 to 1.6 s, mostly in N2."""
    density = subject.spindle_density
    times = moments(generator, timeline.by_stage(0, 0, 1, 0.35, 0) * density / 60)
    shapes = []
    for _ in times:
        length = generator.uniform(0.5, 1.6)
        time = np.arange(0, length, 1 / rate)
        frequency = np.clip(subject.spindle_frequency + 0.5 * generator.standard_normal(), 11, 16)
        height = 22 * np.exp(0.25 * generator.standard_normal())
        shapes.append(
            height
            * np.sin(np.pi * time / length) ** 2
            * np.sin(2 * np.pi * frequency * time + generator.uniform(0, 2 * np.pi))
        )
    return times, shapes


def _k_complexes(
    generator: np.random.Generator, timeline: Timeline, events: NightEvents, rate: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A sharp negative wave, then a slower positive one, 0.5 s at least, above 100 µV."""
    times = moments(generator, timeline.stage_weight[Stage.N2] * 1.6 / 60)
    asleep = timeline.stages[(events.arousals.onset // EPOCH).astype(int)] == Stage.N2
    times = np.concatenate([times, events.arousals.onset[asleep] - 0.6])
    time = np.arange(0, 1.2, 1 / rate)
    shape = -np.exp(-0.5 * ((time - 0.3) / 0.09) ** 2)
    shape += 0.7 * np.exp(-0.5 * ((time - 0.62) / 0.17) ** 2)
    return times, list(np.multiply.outer(generator.uniform(70, 130, len(times)), shape))


def _vertex_waves(
    generator: np.random.Generator, timeline: Timeline, rate: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Sharp waves under 0.5 s over the vertex, late in N1."""
    times = moments(generator, timeline.by_stage(0, 4, 0.3, 0, 0) / 60)
    time = np.arange(0, 0.4, 1 / rate)
    shape = -np.exp(-0.5 * ((time - 0.12) / 0.035) ** 2)
    shape += 0.4 * np.exp(-0.5 * ((time - 0.24) / 0.05) ** 2)
    return times, list(np.multiply.outer(generator.uniform(45, 85, len(times)), shape))


def _sawtooth_waves(
    generator: np.random.Generator, timeline: Timeline, rate: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Trains of 2-5 Hz triangles, 2 to 5 s, in REM."""
    times = moments(generator, timeline.stage_weight[Stage.REM] * 2 / 60)
    shapes = []
    for _ in times:
        length = generator.uniform(2, 5)
        time = np.arange(0, length, 1 / rate)
        tooth = np.mod(time * generator.uniform(2.2, 4), 1)
        wave = np.where(tooth < 0.7, tooth / 0.7, (1 - tooth) / 0.3) - 0.5
        shapes.append(generator.uniform(22, 38) * np.sin(np.pi * time / length) ** 0.5 * wave)
    return times, shapes
