"""Short EDF nights of three channels with label files beside them, and a store of their clips."""

from pathlib import Path

import edfio
import numpy as np

from sleepfm_jax.input_pipeline.splits import FOUR_FRACTIONS, Splits
from sleepfm_jax.jobs.pack_clips import pack_clips
from tests.jobs.test_evaluate_staging import score

LABELS = ("Thor", "C3-M2", "ECG")
RATE = 32  # Hz


def write_night(folder: Path, name: str, stages: list[int], lead: int = 1, seed: int = 0) -> Path:
    """Noise in an EDF, and a label file that scores it from the epoch `lead` on."""
    draw = np.random.default_rng(seed)
    samples = draw.normal(0, 30, (len(LABELS), 30 * RATE * (len(stages) + lead)))
    signals = [
        edfio.EdfSignal(row, RATE, label=label, physical_dimension="uV", physical_range=(-250, 250))
        for label, row in zip(LABELS, samples, strict=True)
    ]
    path = folder / f"{name}.edf"
    path.parent.mkdir(parents=True, exist_ok=True)
    edfio.Edf(signals).write(path)
    score(folder, name, np.array(stages), start=30.0 * lead)
    return path


def nights(folder: Path) -> Path:
    """Three nights of two subjects, of 2, 3 and 4 clips."""
    for number, name in enumerate(("a_1", "a_2", "b_1")):
        write_night(folder, name, [number, 4, 0, 2][: 2 + number], seed=number)
    return folder


def store(folder: Path, recordings: Path) -> Path:
    """Of the nights; `a` is in split train and `b` in test."""
    published = {"a_1": "train", "a_2": "train", "b_1": "test"}
    splits = Splits(fractions=FOUR_FRACTIONS, subject="^(.)_", published=published)
    pack_clips([recordings], folder, splits=splits)
    return folder
