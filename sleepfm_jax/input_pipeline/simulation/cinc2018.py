"""A simulated night as a record of the PhysioNet/CinC Challenge 2018: three files in one folder.

`NAME.hea` (WFDB header), `NAME.mat` (MATLAB 4, int16) and `NAME-arousal.mat` (MATLAB 7.3, HDF5).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io

from sleepfm_jax.atomic import replacing
from sleepfm_jax.input_pipeline.simulation import cinc2018_labels
from sleepfm_jax.input_pipeline.simulation.events import NightEvents
from sleepfm_jax.input_pipeline.simulation.montages import Channel

OFFSET = 24  # bytes of MATLAB 4 before the samples: 20 of header and the name of the array


@dataclasses.dataclass(frozen=True)
class Scale:
    """How a channel's values become integers: rint(gain · value) + baseline.

    Attributes:
        gain: integers for one of the simulator's units.
        baseline: the integer of zero.
        told: the same as the header tells it, in the header's unit.
    """

    gain: float
    baseline: int
    told: str


_SCALES = {
    "oxygen": Scale(655.35, -32768, "655.35(-32768)/%"),
    "ecg": Scale(1000, 0, "1000/mV"),
}
_MICROVOLTS = {"uV": Scale(1, 0, "1/uV"), "mV": Scale(1000, 0, "1/uV")}


def scored_part(generator: np.random.Generator, epochs: int) -> tuple[int, int]:
    """First scored epoch, and one past the last.

    Scoring begins 1 to 6 minutes in and ends up to 1 minute early; of short nights it leaves out a
    tenth at the beginning, and a twentieth at the end, at most.

    Args:
        generator: source of the random numbers.
        epochs: of the night.
    """
    lead, tail = int(generator.integers(2, 13)), int(generator.integers(0, 3))
    return min(lead, epochs // 10), epochs - min(tail, epochs // 20)


def write_record(
    folder: Path,
    name: str,
    signals: Mapping[Channel, np.ndarray],
    stages: np.ndarray,
    scored: tuple[int, int],
    events: NightEvents,
) -> None:
    """Writes a record; its header comes last: where it stands, the record is complete.

    Args:
        folder: for the three files.
        name: of the record.
        signals: (seconds · 200,) of each channel, in its unit.
        stages: (epochs,) of the night.
        scored: first epoch that is scored, and one past the last.
        events: of the night, for the arousals.

    Raises:
        OSError: the folder cannot be written to.
    """
    with replacing(folder / f"{name}-arousal.mat") as path:
        cinc2018_labels.write(path, stages, scored, events)
    digits = np.stack([_digits(channel, samples) for channel, samples in signals.items()])
    with replacing(folder / f"{name}.mat") as path, path.open("wb") as file:
        scipy.io.savemat(file, {"val": digits}, format="4")
    with replacing(folder / f"{name}.hea") as path:
        path.write_text(_header(name, tuple(signals), digits))


def _scale(channel: Channel) -> Scale:
    return _SCALES.get(channel.source) or _MICROVOLTS[channel.unit]


def _digits(channel: Channel, samples: np.ndarray) -> np.ndarray:
    """(samples,) int16; the least one, which marks what was not measured, is never used."""
    scale = _scale(channel)
    digits = np.clip(samples, *channel.limits) * scale.gain + scale.baseline
    return np.clip(np.rint(digits), -32767, 32767).astype(np.int16)


def _header(name: str, channels: tuple[Channel, ...], digits: np.ndarray) -> str:
    """The header of a record of (channels, samples) integers."""
    sums = digits.sum(axis=1, dtype=np.int64).astype(np.int16)  # the lowest 16 bits
    lines = [
        f"{name}.mat 16+{OFFSET} {_scale(channel).told} 16 0 {row[0]} {total} 0 {channel.label}"
        for channel, row, total in zip(channels, digits, sums, strict=True)
    ]
    first = f"{name} {len(channels)} {cinc2018_labels.RATE} {digits.shape[1]}"
    return "\n".join([first, *lines]) + "\n"
