"""A channel at any rate to the model's: 128 Hz, z-scored, float16 (spec §4).

The chain is the published one: up to the file's highest rate by FFT, low-pass forward and backward,
linear interpolation, z-score. Each step works in place or in blocks, so that a night needs two
buffers at the highest rate and no more.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import scipy.fft
import scipy.signal

RATE = 128  # Hz, of every recording the model sees
CUTOFF = 64.0  # Hz
BLOCK = 1 << 16  # samples filtered or interpolated at a time; half a megabyte stays in cache
COMBS = 8  # doubles in a cache line: interleaved combs are written a line at a time


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Samples without a gap.

    Attributes:
        start: seconds from the recording's start to the first sample.
        stop: seconds from the recording's start to the end of the last sample.
        samples: (samples,) float64 at the channel's own rate; `to_model_rate` may write into it.
    """

    start: float
    stop: float
    samples: np.ndarray


def to_model_rate(stretches: Iterable[Stretch], highest_rate: float, duration: float) -> np.ndarray:
    """Brings one channel to 128 Hz and z-scores it over its real samples (spec §4).

    Args:
        stretches: the channel, stretch by stretch; each is converted by itself.
        highest_rate: highest rate of any channel in the file (Hz), wanted or not.
        duration: of the recording, gaps included (seconds).

    Returns:
        (floor(128 · duration),) float16; zero in gaps, and everywhere if the channel is constant.
    """
    night = np.zeros(model_samples(duration))  # (N,)
    parts = []
    low, high = math.inf, -math.inf
    for stretch in stretches:
        low = min(low, stretch.samples.min())
        high = max(high, stretch.samples.max())
        parts.append(_place(stretch, highest_rate, duration, night))
    if low < high:
        _standardise(parts)
    else:
        night[:] = 0.0
    return night.astype(np.float16)


def model_samples(duration: float) -> int:
    """Samples at 128 Hz in `duration` seconds."""
    return math.floor(duration * RATE + 1e-6)  # 1e-6: seconds come as quotients of counts


def _place(stretch: Stretch, highest_rate: float, duration: float, night: np.ndarray) -> np.ndarray:
    """Writes a stretch to its place in `night`; returns that part of `night`."""
    count = round((stretch.stop - stretch.start) * highest_rate)
    samples = _upsample(stretch.samples, count)
    if highest_rate > RATE:
        _low_pass(samples, highest_rate)
    step = duration / len(night)  # seconds; 1/128 unless the duration is broken
    first = math.ceil(stretch.start / step - 1e-6)
    last = min(math.ceil(stretch.stop / step - 1e-6), len(night))
    part = night[first:last]
    _interpolate(samples, (first * step - stretch.start) * highest_rate, step * highest_rate, part)
    return part


def _standardise(parts: list[np.ndarray]) -> None:
    """Mean 0, population standard deviation 1, over all parts together, in place."""
    count = sum(len(part) for part in parts)
    mean = sum(part.sum() for part in parts) / count
    for part in parts:
        part -= mean
    deviation = math.sqrt(sum(part @ part for part in parts) / count)
    for part in parts:
        part /= deviation


def _upsample(samples: np.ndarray, count: int) -> np.ndarray:
    """`mne.filter.resample(samples, count, len(samples), npad=0)`: FFT, no window, no padding."""
    own = len(samples)
    if own == count:
        return samples
    spectrum = scipy.fft.rfft(samples)  # (own // 2 + 1,)
    if count % own == 0:
        return _upsample_by_combs(samples, spectrum, count // own)
    if own % 2 == 0:
        spectrum[-1] *= 0.5  # the Nyquist bin becomes two
    return scipy.fft.irfft(spectrum, count) * (count / own)


def _upsample_by_combs(samples: np.ndarray, spectrum: np.ndarray, factor: int) -> np.ndarray:
    """The samples and, between them, copies shifted by 1/factor, 2/factor … of a sample.

    The same numbers as one long inverse FFT, from short ones that stay in cache.
    """
    own = len(samples)
    shift = np.exp(2j * np.pi / (own * factor) * np.arange(len(spectrum)))
    upsampled = np.empty((own, factor))
    for first in range(0, factor, COMBS):
        combs = np.empty((min(COMBS, factor - first), own))
        for comb in combs:
            comb[:] = scipy.fft.irfft(spectrum, own)
            spectrum *= shift
        upsampled[:, first : first + COMBS] = combs.T
    return upsampled.reshape(-1)


def _low_pass(samples: np.ndarray, rate: float) -> None:
    """`scipy.signal.filtfilt` of a 4th-order Butterworth low-pass, in place and block by block."""
    numerator, denominator = scipy.signal.butter(4, CUTOFF, fs=rate)
    steady = scipy.signal.lfilter_zi(numerator, denominator)
    edge = min(3 * len(numerator), len(samples) - 1)
    if edge < 1:
        return
    before = 2 * samples[0] - samples[edge:0:-1]
    after = 2 * samples[-1] - samples[-2 : -edge - 2 : -1]
    blocks = [samples[i : i + BLOCK] for i in range(0, len(samples), BLOCK)]

    def run(block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return scipy.signal.lfilter(numerator, denominator, block, zi=state)

    _, state = run(before, steady * before[0])
    for block in blocks:
        block[:], state = run(block, state)
    after, _ = run(after, state)
    _, state = run(after[::-1], steady * after[-1])
    for block in reversed(blocks):
        block[::-1], state = run(block[::-1], state)


def _interpolate(samples: np.ndarray, first: float, step: float, result: np.ndarray) -> None:
    """Linear interpolation at `first`, `first + step` … samples, constant past the last sample."""
    if first == int(first) and step == int(step):  # on samples
        result[:] = samples[int(first) :: int(step)][: len(result)]
        return
    for begin in range(0, len(result), BLOCK):
        block = result[begin : begin + BLOCK]
        position = first + step * np.arange(begin, begin + len(block))
        low = int(position[0])
        source = samples[low : int(position[-1]) + 2]
        block[:] = np.interp(position, np.arange(low, low + len(source)), source)
