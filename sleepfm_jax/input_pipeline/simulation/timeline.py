"""The slow state that all of a night's signals share, on a 4-Hz grid: stages, arousal, movement."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sleepfm_jax.input_pipeline.simulation.events import Episodes, NightEvents
from sleepfm_jax.input_pipeline.simulation.hypnograms import EPOCH, Stage
from sleepfm_jax.input_pipeline.simulation.waveforms import GRID_RATE, drift

DEPTH_MEMORY = 40.0  # seconds over which the depth of sleep fluctuates
MIXING = 0.32  # share of the neighbouring stage for each standard deviation of depth
_LIGHTER = {
    Stage.WAKE: Stage.WAKE,
    Stage.N1: Stage.WAKE,
    Stage.N2: Stage.N1,
    Stage.N3: Stage.N2,
    Stage.REM: Stage.N1,
}
_DEEPER = {
    Stage.WAKE: Stage.N1,
    Stage.N1: Stage.N2,
    Stage.N2: Stage.N3,
    Stage.N3: Stage.N3,
    Stage.REM: Stage.N2,
}


@dataclass(frozen=True)
class Timeline:
    """What brain, heart, breath and muscles have in common.

    Attributes:
        seconds: duration of the recording.
        stages: (epochs,) hypnogram.
        stage_weight: (5, points) share of each stage in what the body does.
        eyes_open: (points,) 0 to 1.
        depth: (points,) slow fluctuation of sleep depth around 0, unit variance, > 0 deeper.
        arousal: (points,) 0 to 1, cortical arousal.
        movement: (points,) 0 to 1, body movement.
    """

    seconds: int
    stages: np.ndarray
    stage_weight: np.ndarray
    eyes_open: np.ndarray
    depth: np.ndarray
    arousal: np.ndarray
    movement: np.ndarray

    @property
    def points(self) -> int:
        """Grid points, both ends included."""
        return self.seconds * GRID_RATE + 1

    def by_stage(self, wake: float, n1: float, n2: float, n3: float, rem: float) -> np.ndarray:
        """(points,) of a quantity that has one value a stage."""
        total = np.zeros(self.points)
        # Not a matrix product: its rounding may depend on the number of threads.
        for value, weight in zip((wake, n1, n2, n3, rem), self.stage_weight, strict=True):
            total += value * weight
        return total


def draw_timeline(
    generator: np.random.Generator, stages: np.ndarray, events: NightEvents
) -> Timeline:
    """The shared state of a night.

    Stages are a scorer's simplification, and two scorers agree on about 83 % of the epochs
    (Rosenberg & Van Hout, JCSM 2013). So the body changes up to 12 s before or after the epoch's
    edge, and as sleep's depth fluctuates it does in part what the lighter or deeper stage does.

    Args:
        generator: source of the random numbers.
        stages: (epochs,) hypnogram.
        events: of the night.
    """
    seconds = len(stages) * EPOCH
    points = seconds * GRID_RATE + 1
    depth = drift(generator, points, DEPTH_MEMORY)
    return Timeline(
        seconds=seconds,
        stages=stages,
        stage_weight=_mixed(_stage_weight(generator, stages, points), depth),
        eyes_open=_eyes_open(generator, points),
        depth=depth,
        arousal=envelope(events.arousals, events.arousals.size, points, 0.7),
        movement=envelope(events.body_movements, events.body_movements.size, points, 0.5),
    )


def moments(generator: np.random.Generator, per_second: np.ndarray) -> np.ndarray:
    """Sorted times (s) of a Poisson process whose rate is given on the grid."""
    hits = np.flatnonzero(generator.random(len(per_second)) < per_second / GRID_RATE)
    return (hits + generator.random(len(hits))) / GRID_RATE


def envelope(episodes: Episodes, height: np.ndarray, points: int, rise: float) -> np.ndarray:
    """(points,) the largest height of the episodes in progress, with edges of `rise` seconds."""
    level = np.zeros(points)
    starts = np.round(episodes.onset * GRID_RATE).astype(int)
    stops = np.round(episodes.end * GRID_RATE).astype(int)
    for start, stop, value in zip(starts, stops, height, strict=True):
        np.maximum(level[start:stop], value, out=level[start:stop])
    return ndimage.gaussian_filter1d(level, rise * GRID_RATE / 2)


def _stage_weight(generator: np.random.Generator, stages: np.ndarray, points: int) -> np.ndarray:
    changes = np.flatnonzero(np.diff(stages)) + 1
    shifted = changes * EPOCH + generator.uniform(-12, 12, len(changes))
    time = np.arange(points) / GRID_RATE
    stretch = np.searchsorted(shifted, time, side="right")  # which stay each point lies in
    stage = stages[np.concatenate([[0], changes])][stretch]
    weight = np.stack([stage == number for number in Stage]).astype(float)  # (5, points)
    return ndimage.gaussian_filter1d(weight, 1.5 * GRID_RATE, axis=1, mode="nearest")


def _mixed(weight: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Stage weights with a share moved to the lighter or deeper neighbour; columns sum to 1."""
    moved = np.clip(MIXING * (np.abs(depth) - 0.3), 0, 0.9)
    mixed = (1 - moved) * weight
    for stage in Stage:
        mixed[_LIGHTER[stage]] += moved * (depth < 0) * weight[stage]
        mixed[_DEEPER[stage]] += moved * (depth >= 0) * weight[stage]
    return ndimage.gaussian_filter1d(mixed, GRID_RATE, axis=1, mode="nearest")


def _eyes_open(generator: np.random.Generator, points: int) -> np.ndarray:
    """Alternating closed (60 s on average) and open (25 s) eyes; it only shows in wake."""
    edges = np.cumsum(
        np.stack([generator.exponential(60, points), generator.exponential(25, points)], 1)
    )
    inside = np.searchsorted(edges, np.arange(points) / GRID_RATE, side="right")
    return ndimage.gaussian_filter1d((inside % 2).astype(float), 0.5 * GRID_RATE)
