"""What was measured of a signal: its samples between gaps, each stretch at its true time."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from sleepfm_jax.input_pipeline.raw import RawRecording
from sleepfm_jax.input_pipeline.resample import Stretch
from sleepfm_jax.input_pipeline.source_files import Recorded
from sleepfm_jax.input_pipeline.wfdb_recording import WfdbRecording

BRIDGED = 1.0  # seconds; where less than this is missing, a straight line stands for it


def of_signal(recording: Recorded | RawRecording, signal: Any) -> Iterator[Stretch]:
    """Reads one signal stretch by stretch.

    EDF tells gaps of all signals together, WFDB those of each signal sample by sample.

    Args:
        recording: an open recording.
        signal: one of its signals.

    Yields:
        the stretches in the order of time; none where nothing was measured. Only those of a Raw
        may hold samples that are no numbers.

    Raises:
        InputError: the recording can no longer be read.
    """
    source: Any = recording  # reads its own kind of signal
    for number, (start, stop) in enumerate(recording.segments):
        samples = source.read(signal, number)
        if isinstance(recording, WfdbRecording):
            yield from measured(samples, signal.rate)
        else:
            yield Stretch(start, stop, samples)


def measured(samples: np.ndarray, rate: float) -> Iterator[Stretch]:
    """Splits samples where numbers are missing for a second or more; bridges what is shorter.

    Args:
        samples: (samples,) float64, NaN where nothing was measured; bridges are written into it.
        rate: Hz.

    Yields:
        the stretches with their times in seconds from the first sample.
    """
    missing = np.isnan(samples)
    edges = np.flatnonzero(missing[1:] != missing[:-1]) + 1
    bounds = np.concatenate([[0], edges, [len(samples)]])
    runs = np.stack([bounds[:-1], bounds[1:]], axis=1)  # (runs, 2), by turns missing and not
    gaps = runs[missing[runs[:, 0]]]
    inside = (gaps[:, 0] > 0) & (gaps[:, 1] < len(samples))
    short = inside & (np.diff(gaps)[:, 0] < BRIDGED * rate)
    for first, stop in gaps[short].tolist():
        ends = samples[first - 1], samples[stop]
        samples[first:stop] = np.linspace(*ends, stop - first + 2)[1:-1]
    left = np.concatenate([[0], gaps[~short].reshape(-1), [len(samples)]]).reshape(-1, 2)
    for first, stop in left.tolist():
        if first < stop:
            yield Stretch(first / rate, stop / rate, samples[first:stop])
