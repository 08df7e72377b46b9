"""Nights of noise with labels beside them, quick to write and to cut into clips."""

from pathlib import Path

import h5py
import numpy as np

from tests.input_pipeline import small_nights

LABELS = ("Thor", "C3-A2", "ECG")  # CHEST, C3-M2, ECG
PLACES = (0, 3, 8)
BEGIN = 7.0  # seconds, of the first scored epoch


def night(path: Path, stages: str, seed: int = 0, labels: tuple[str, ...] = LABELS) -> Path:
    """A recording at 128 Hz, scored from 7 s on: a letter of "W123R?" for each epoch.

    Three seconds follow. Without stages there is no label file, and two epochs.
    """
    seconds = BEGIN + 30 * (len(stages) or 2) + 3
    signals = small_nights.noise(seed, len(labels), round(128 * seconds))
    small_nights.write(path, dict(zip(labels, signals, strict=True)))
    if stages:
        path.with_suffix(".csv").write_text(table(stages))
    return path


def table(stages: str) -> str:
    """Labels as a CSV; what is "?" has no row."""
    rows = [
        f"{BEGIN + 30 * i},{BEGIN + 30 * i + 30},{letter},{'W123R'.index(letter)}"
        for i, letter in enumerate(stages)
        if letter != "?"
    ]
    return "\n".join(["Start,Stop,StageName,StageNumber", *rows]) + "\n"


def cohort(folder: Path) -> Path:
    """Four nights of two subjects; p1-b has no labels, p1-a an unscored epoch within."""
    for name, stages in (("p0-a", "W123R"), ("p0-b", "22"), ("p1-a", "W?R"), ("p1-b", "")):
        night(folder / f"{name}.hdf5", stages, seed=len(stages) + ord(name[-1]))
    return folder


def fill(path: Path, label: str, first: int, last: int, value: float) -> None:
    """Gives a channel one value in some epochs, counted from the first that is scored."""
    with h5py.File(path, "r+") as file:
        file[label][round(128 * (BEGIN + 30 * first)) : round(128 * (BEGIN + 30 * last))] = value


def with_hole(path: Path, label: str, first: int, last: int) -> None:
    """Takes the numbers out of some epochs."""
    fill(path, label, first, last, np.nan)
