"""Nights of noise that are quick to write, and what their windows must be."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.input_pipeline.windows import PATCH, SAMPLES

LABELS = ("C3-M2", "Airflow", "ECG")  # BAS, RESP, EKG


def noise(seed: int, channels: int, samples: int) -> np.ndarray:
    """(C, N) float16."""
    random = np.random.default_rng(seed)
    return random.standard_normal((channels, samples), np.float32).astype(np.float16)


def write(path: Path, signals: Mapping[str, np.ndarray]) -> Path:
    """A recording in the published layout: bare datasets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", track_order=True) as file:
        for label, samples in signals.items():
            file.create_dataset(label, data=samples, chunks=(min(SAMPLES, len(samples)),))
    return path


def night(path: Path, seed: int = 0, patches: int = 75) -> Path:
    """A night of three modalities, its last patch followed by a rest that is none."""
    signals = noise(seed, len(LABELS), patches * PATCH + 7)
    return write(path, dict(zip(LABELS, signals, strict=True)))


def cohort(folder: Path, nights: int = 4, patches: int = 75) -> Path:
    """Nights a0, b0, a1, b1 … of subjects that have two each: "p0-a", "p0-b", "p1-a" …."""
    for number in range(nights):
        night(folder / f"p{number // 2}-{'ab'[number % 2]}.hdf5", number, patches)
    return folder
