"""Breathing: rate and depth, apneas and hypopneas, flow, effort belts, snoring, oxygen."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from sleepfm_jax.input_pipeline.simulation.events import (
    CENTRAL,
    HYPOPNEA,
    OBSTRUCTIVE,
    NightEvents,
)
from sleepfm_jax.input_pipeline.simulation.subjects import Subject
from sleepfm_jax.input_pipeline.simulation.timeline import Timeline, envelope
from sleepfm_jax.input_pipeline.simulation.waveforms import (
    GRID_RATE,
    coloured_noise,
    drift,
    upsample,
    white_noise,
)

AIRFLOW = -np.pi / 2  # lag of flow behind volume: it comes a quarter of a breath earlier


@dataclass(frozen=True)
class Breathing:
    """Respiration on the grid.

    Attributes:
        phase: (points,) radians, rising; at multiples of 2π air streams in fastest.
        flow: (points,) depth of the breaths as the nose sees it, 1 = quiet sleep.
        effort: (points,) depth as the belts see it.
        obstruction: (points,) 0 to 1, narrowing of the airway: flattened flow, paradoxical belts.
        snoring: (points,) 0 to 1.
        saturation: (seconds,) SpO2 in %, one a second.
    """

    phase: np.ndarray
    flow: np.ndarray
    effort: np.ndarray
    obstruction: np.ndarray
    snoring: np.ndarray
    saturation: np.ndarray

    def wave(self, rate: int, lag: float | np.ndarray = 0.0) -> np.ndarray:
        """(seconds · rate,) float32 lung volume of a unit breath: quick rise, slow fall, pause.

        Args:
            rate: Hz.
            lag: radians (a number or (points,)) by which a sensor comes late; `AIRFLOW` for flow.
        """
        turn = upsample_phase(self.phase - lag, rate)
        return np.sin(turn + 0.25 * np.sin(turn) - 0.25 * np.cos(turn))


def upsample_phase(phase: np.ndarray, rate: int) -> np.ndarray:
    """As `upsample`, in float64 first: phases grow too large for float32."""
    step = rate // GRID_RATE
    rows = phase[:-1, None] + np.diff(phase)[:, None] * (np.arange(step) / step)
    return np.mod(rows.ravel(), 2 * np.pi).astype(np.float32)


def draw_breathing(
    generator: np.random.Generator, subject: Subject, timeline: Timeline, events: NightEvents
) -> Breathing:
    """Breathing that is regular in N3 and irregular in REM and wake, stops in apneas.

    Rates and regularity by stage follow Douglas et al., Thorax 1982; events as AASM defines
    them: apneas lose at least 90 % of the flow, hypopneas at least 30 %.
    """
    arousal, points = timeline.arousal, timeline.points
    irregular = timeline.by_stage(0.13, 0.08, 0.05, 0.025, 0.16)
    rate = subject.respiratory_rate * (1 + 0.1 * drift(generator, points, 250))
    rate *= timeline.by_stage(1.06, 1.02, 1.0, 0.97, 1.05)
    rate *= np.exp(irregular * drift(generator, points, 6)) * (1 + 0.25 * arousal)
    phase = 2 * np.pi * np.cumsum(rate) / 60 / GRID_RATE

    depth = np.exp(1.4 * irregular * drift(generator, points, 7))
    depth *= np.exp(0.15 * drift(generator, points, 300)) * (1 + 0.7 * arousal)
    kind = events.apneas.size
    fall = np.select([kind == HYPOPNEA], [generator.uniform(0.5, 0.75, len(kind))], 0.97)
    missing = envelope(events.apneas, fall, points, 2.0)
    central = envelope(events.apneas, 0.97 * (kind == CENTRAL), points, 2.0)
    narrow = np.select([kind == OBSTRUCTIVE, kind == HYPOPNEA], [1.0, 0.5])
    obstruction = envelope(events.apneas, narrow, points, 2.0)
    asleep = 1 - timeline.stage_weight[0]
    loudness = np.clip(subject.snoring + 0.25 * drift(generator, points, 120), 0, 1)
    return Breathing(
        phase=phase,
        flow=depth * (1 - missing),
        effort=depth * (1 - central) * (1 - 0.25 * obstruction),
        obstruction=obstruction,
        snoring=loudness * asleep * (1 - missing) * timeline.by_stage(1, 0.6, 1, 1.1, 0.6),
        saturation=_saturation(generator, subject, missing[:-1]),
    )


def _saturation(
    generator: np.random.Generator, subject: Subject, missing: np.ndarray
) -> np.ndarray:
    """Falls about 20 s after the breath does (circulation and sensor) and recovers faster."""
    missing = missing.reshape(-1, GRID_RATE).mean(1)  # (seconds,)
    lag = np.arange(60.0)
    kernel = np.where(lag > 8, (lag - 8) ** 3 * np.exp(-(lag - 8) / 3.5), 0)
    kernel *= 1.3 * subject.desaturation / kernel.sum()  # a 20-s pause fills three quarters of it
    deficit = np.convolve(missing**1.5, kernel)[: len(missing)]
    level = np.clip(97 - 0.03 * (subject.age - 40), 93, 98)
    slow = drift(generator, len(missing) * GRID_RATE, 600)[::GRID_RATE]
    return np.clip(level + 0.6 * slow - deficit, 55, 100)


def nasal_pressure(generator: np.random.Generator, breathing: Breathing, rate: int) -> np.ndarray:
    """(samples,) cmH2O: square-law cannula, flattened by a narrow airway, with snoring on top."""
    wave = breathing.wave(rate, AIRFLOW)
    narrow = upsample(breathing.obstruction, rate)
    flat = np.tanh(3 * wave) * 0.8
    flow = (wave + narrow * (flat - wave)) * upsample(breathing.flow, rate)
    pressure = 0.6 * np.sign(flow) * np.abs(flow) ** 1.4
    rough = white_noise(generator, len(pressure))
    pressure += 0.12 * rough * np.maximum(wave, 0) * upsample(breathing.snoring, rate)
    return pressure + 0.015 * white_noise(generator, len(pressure))


def thermistor(generator: np.random.Generator, breathing: Breathing, rate: int) -> np.ndarray:
    """(samples,) mV: airflow's temperature, smooth and late."""
    flow = breathing.wave(rate, AIRFLOW + 0.6) * upsample(np.sqrt(breathing.flow), rate)
    smoothed = ndimage.gaussian_filter1d(flow, 0.15 * rate)
    return 0.4 * smoothed + 0.01 * white_noise(generator, len(flow))


def effort_belt(
    generator: np.random.Generator,
    breathing: Breathing,
    timeline: Timeline,
    rate: int,
    abdomen: bool,
) -> np.ndarray:
    """(samples,) mV: chest or abdomen; in obstruction they move against each other."""
    paradox = np.clip(1.5 * breathing.obstruction - 0.5, 0, 1) * 0.85 * np.pi
    lag = (0.15 + paradox) if abdomen else 0.0
    depth = breathing.effort * np.exp(0.1 * drift(generator, timeline.points, 200))
    belt = breathing.wave(rate, lag) * upsample(depth, rate)
    belt += (
        1.5
        * upsample(timeline.movement, rate)
        * coloured_noise(generator, len(belt), rate, 1.5, low=0.2)
    )
    return 0.5 * (belt + 0.02 * white_noise(generator, len(belt)))


def snore_sensor(generator: np.random.Generator, breathing: Breathing, rate: int) -> np.ndarray:
    """(samples,) mV: vibration at the throat on every breath in."""
    inhale = np.maximum(breathing.wave(rate, AIRFLOW), 0) ** 2
    tone = signal.lfilter([1, 0, -1], [1, -1.2, 0.8], white_noise(generator, len(inhale)))
    return 0.02 * tone * (0.08 + inhale * upsample(breathing.snoring, rate))


def oximeter(breathing: Breathing) -> np.ndarray:
    """(seconds,) % in whole numbers, as oximeters report them."""
    return np.round(breathing.saturation)
