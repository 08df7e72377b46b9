"""Stored embeddings that say where they come from, with stages and outcomes to match."""

from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.input_pipeline.modality import Modality

WIDTH = 3


def values(night: int, modality: int, steps: int) -> np.ndarray:
    """(T, E) float32: number of the night, of the modality and of the step."""
    rows = np.empty((steps, WIDTH), np.float32)
    rows[:] = night, modality, 0
    rows[:, 2] = np.arange(steps)
    return rows


def present(night: int) -> list[Modality]:
    """Night 3, 7, 11 … have no EKG."""
    return [m for m in Modality if m is not Modality.EKG or night % 4 != 3]


def write(path: Path, night: int, steps: int, **attributes: object) -> Path:
    """A night in our layout, with the attributes that are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        for modality in present(night):
            file.create_dataset(modality.name, data=values(night, modality, steps))
    return path


def stage(night: int, epoch: int) -> int:
    """Every seventh epoch is not scored."""
    return -1 if epoch % 7 == 6 else (night + epoch) % 5


def stages(night: int, steps: int) -> np.ndarray:
    """(T,) int8."""
    return np.array([stage(night, step // 6) for step in range(steps)], np.int8)


def write_stages(path: Path, night: int, steps: int) -> Path:
    """The published staging format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = {-1: "Unscored", 0: "Wake", 1: "N1", 2: "N2", 3: "N3", 4: "REM"}
    rows = [
        f"{30 * e},{30 * e + 30},{names[stage(night, e)]},{stage(night, e)}\n"
        for e in range(-(-steps // 6))
    ]
    path.write_text("Start,Stop,StageName,StageNumber\n" + "".join(rows))
    return path


def cohort(folder: Path, lengths: list[int]) -> Path:
    """Nights "p0_a", "p0_b", "p1_a" … as `sleepfm-jax embed` leaves them, and `stages/`."""
    for night, steps in enumerate(lengths):
        name = f"p{night // 2}_{'ab'[night % 2]}"
        write(folder / "embeddings/sequence" / f"{name}.hdf5", night, steps, step=5.0)
        write(folder / "embeddings/pooled" / f"{name}.hdf5", night, -(-steps // 60), step=300.0)
        write_stages(folder / "stages" / f"{name}.csv", night, steps)
    return folder
