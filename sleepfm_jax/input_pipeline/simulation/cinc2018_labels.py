"""The labels of the PhysioNet/CinC Challenge 2018: one-hot stages and arousals for every sample."""

from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.input_pipeline.simulation.events import NightEvents
from sleepfm_jax.input_pipeline.simulation.hypnograms import EPOCH, Stage

RATE = 200  # Hz, of labels and channels
UNDEFINED = "undefined"
# In the order in which the challenge's files list them.
STAGES = {
    UNDEFINED: None,
    "nonrem3": Stage.N3,
    "nonrem2": Stage.N2,
    "nonrem1": Stage.N1,
    "rem": Stage.REM,
    "wake": Stage.WAKE,
}
EARLY = 1  # sample by which all that the challenge marks begins too early
BEFORE, AFTER = 2 * RATE, 10 * RATE  # samples around an arousal that count as arousal
UNSCORED_AROUND = 10 * RATE  # samples around wake and breathing events that are not scored

# Before the HDF5 stands what MATLAB writes there, of a date on which nobody slept.
_USERBLOCK = 512
_ABOUT = (
    "MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Sat Jan 01 00:00:00 2000 "
    "HDF5 schema 1.00 ."
)
_PACKED = {"compression": "gzip", "compression_opts": 3}


def write(path: Path, stages: np.ndarray, scored: tuple[int, int], events: NightEvents) -> None:
    """Writes a night's labels as MATLAB 7.3 writes the challenge's structure.

    Args:
        path: the file.
        stages: (epochs,) of the night.
        scored: first epoch that is scored, and one past the last.
        events: of the night.

    Raises:
        OSError: the file cannot be written.
    """
    hot = one_hot(stages, scored)
    arousals = target_arousals(hot["wake"], events)
    with h5py.File(path, "w", userblock_size=_USERBLOCK) as file:
        data = file.create_group("data")
        _tell(data, "struct", fields=("sleep_stages", "arousals"))
        inner = data.create_group("sleep_stages")
        _tell(inner, "struct", "/data", tuple(STAGES))
        for name, row in hot.items():
            dataset = inner.create_dataset(
                name, data=row[None], chunks=(1, min(65151, len(row))), **_PACKED
            )
            _tell(dataset, "logical", "/datasleep_stages")
            dataset.attrs["MATLAB_int_decode"] = np.int32(1)
        column = data.create_dataset(
            "arousals", data=arousals[:, None], chunks=(min(8182, len(arousals)), 1), **_PACKED
        )
        _tell(column, "double", "/data")
    with path.open("r+b") as block:  # what MATLAB puts before the HDF5
        block.write(_ABOUT.encode().ljust(116) + bytes(8) + b"\0\x02IM")


def one_hot(stages: np.ndarray, scored: tuple[int, int]) -> dict[str, np.ndarray]:
    """For each stage (samples,) uint8, 1 where it is; as in the challenge a sample early.

    Args:
        stages: (epochs,).
        scored: first epoch that is scored, and one past the last.
    """
    known = np.full(len(stages), -1, np.int8)
    known[slice(*scored)] = stages[slice(*scored)]
    samples = np.repeat(known, EPOCH * RATE)
    samples = np.concatenate([samples[EARLY:], np.full(EARLY, -1, np.int8)])
    return {
        name: (samples == (-1 if stage is None else stage)).astype(np.uint8)
        for name, stage in STAGES.items()
    }


def target_arousals(wake: np.ndarray, events: NightEvents) -> np.ndarray:
    """(samples,) float64: 1 in arousals that no apnea or hypopnea brought, −1 not scored, else 0.

    An arousal counts from 2 s before it to 10 s after it; wake and breathing events are not scored,
    nor the 10 s around them.

    Args:
        wake: (samples,) uint8, 1 in wake.
        events: of the night.
    """
    target = np.zeros(len(wake))
    apneas, arousals = events.apneas, events.arousals
    for start, stop in zip(arousals.onset, arousals.end, strict=True):
        if not ((apneas.onset < start) & (start < apneas.end + 3)).any():
            _put(target, 1, start * RATE - BEFORE, stop * RATE + AFTER)
    edges = np.flatnonzero(np.diff(wake, prepend=0, append=0)).reshape(-1, 2)
    spans = [*edges.tolist(), *zip(apneas.onset * RATE, apneas.end * RATE, strict=True)]
    for start, stop in spans:
        _put(target, -1, start - UNSCORED_AROUND, stop + UNSCORED_AROUND)
    return target


def _tell(
    item: h5py.Group | h5py.Dataset, kind: str, place: str = "", fields: tuple[str, ...] = ()
) -> None:
    """Attributes by which MATLAB knows what an item is."""
    item.attrs["MATLAB_class"] = np.bytes_(kind)
    if place:
        item.attrs["H5PATH"] = np.bytes_(place)
    if fields:
        letters = np.empty(len(fields), object)
        letters[:] = [np.array(list(field), "S1") for field in fields]
        item.attrs.create("MATLAB_fields", letters, dtype=h5py.vlen_dtype(np.dtype("S1")))


def _put(target: np.ndarray, value: float, start: float, stop: float) -> None:
    target[max(0, round(start) - EARLY) : max(0, round(stop))] = value
