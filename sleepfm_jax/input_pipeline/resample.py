"""A channel at any rate to the model's: 128 Hz, z-scored, float16 (spec §4).

The chain is the published one: up to the file's highest rate by FFT, low-pass forward and backward,
linear interpolation, z-score. All but the first runs block by block, so that of a night only one
channel at the highest rate and one at the model's are held.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator

import numpy as np
import scipy.fft
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view

RATE = 128  # Hz, of every recording the model sees
CUTOFF = 64.0  # Hz

BLOCK = 1 << 16  # samples at a time; half a megabyte stays in a core's cache
COMBS = 8  # doubles in a cache line: interleaved combs are written a line at a time
WINDOW = 4096  # samples filtered in one piece, at least
TOGETHER = 16  # windows filtered at a time: one processor instruction works on several


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Samples without a gap.

    Attributes:
        start: seconds from the recording's start to the first sample.
        stop: seconds from the recording's start to the end of the last sample.
        samples: (samples,) float64 at the channel's own rate.
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
    night = np.empty(model_samples(duration))  # (N,), written in the stretches only
    low, high = math.inf, -math.inf
    places = []
    for stretch in stretches:
        low, high = min(low, stretch.samples.min()), max(high, stretch.samples.max())
        places.append(_place(stretch, highest_rate, duration, night))
    result = np.zeros(len(night), np.float16)
    if low < high:
        _standardise(night, places, result)
    return result


def model_samples(duration: float) -> int:
    """Samples at 128 Hz in `duration` seconds."""
    return math.floor(duration * RATE + 1e-6)  # 1e-6: seconds come as quotients of counts


def _place(stretch: Stretch, highest_rate: float, duration: float, night: np.ndarray) -> slice:
    """Writes a stretch to its place in `night`; returns the place."""
    count = round((stretch.stop - stretch.start) * highest_rate)
    samples = _upsample(stretch.samples, count)
    blocks = _low_pass(samples, highest_rate) if highest_rate > RATE else _blocks(samples)
    step = duration / len(night)  # seconds; 1/128 unless the duration is broken
    first = math.ceil(stretch.start / step - 1e-6)
    place = slice(first, min(math.ceil(stretch.stop / step - 1e-6), len(night)))
    offset = max(0.0, first * step - stretch.start)
    _interpolate(blocks, offset * highest_rate, step * highest_rate, night[place])
    return place


def _standardise(night: np.ndarray, places: list[slice], result: np.ndarray) -> None:
    """Mean 0, population standard deviation 1, over all places together."""
    blocks = [block for place in places for block in _blocks(night[place])]
    count = sum(len(block) for block in blocks)
    mean = sum(block.sum() for block in blocks) / count
    deviation = math.sqrt(sum(np.square(block - mean).sum() for block in blocks) / count)
    for place in places:
        for block, standard in zip(_blocks(night[place]), _blocks(result[place]), strict=True):
            standard[:] = (block - mean) / deviation


def _upsample(samples: np.ndarray, count: int) -> np.ndarray:
    """`mne.filter.resample(samples, count, len(samples), npad=0)`: FFT, no window, no padding."""
    own = len(samples)
    if own == count:
        return samples
    spectrum = scipy.fft.rfft(samples)  # (own // 2 + 1,)
    if count % own == 0:
        return _upsample_by_combs(spectrum, own, count // own)
    if own % 2 == 0:
        spectrum[-1] *= 0.5  # the Nyquist bin becomes two
    return scipy.fft.irfft(spectrum, count) * (count / own)


def _upsample_by_combs(spectrum: np.ndarray, own: int, factor: int) -> np.ndarray:
    """Interleaves `factor` copies of the signal, shifted by 1/factor, 2/factor … of a sample.

    The same numbers as one long inverse FFT, from short ones that stay in cache.
    """
    shift = np.exp(2j * np.pi / (own * factor) * np.arange(len(spectrum)))
    upsampled = np.empty((own, factor))
    for first in range(0, factor, COMBS):
        combs = np.empty((min(COMBS, factor - first), own))
        for comb in combs:
            comb[:] = scipy.fft.irfft(spectrum, own)
            spectrum *= shift
        upsampled[:, first : first + COMBS] = combs.T
    return upsampled.reshape(-1)


def _low_pass(samples: np.ndarray, rate: float) -> Iterator[np.ndarray]:
    """`scipy.signal.filtfilt` of a 4th-order Butterworth low-pass, in consecutive blocks.

    Away from the ends, forward and backward together multiply the spectrum by |H|²; done in
    overlapping windows this takes less than half the time of the two recursions.
    """
    numerator, denominator = scipy.signal.butter(4, CUTOFF, fs=rate)
    slowest = np.abs(np.roots(denominator)).max()
    reach = math.ceil(math.log(np.finfo(float).eps) / math.log(slowest))  # of the response
    length = scipy.fft.next_fast_len(max(WINDOW, 16 * reach), real=True)

    def exact(part: np.ndarray) -> np.ndarray:
        edge = min(3 * len(numerator), len(part) - 1)
        return scipy.signal.filtfilt(numerator, denominator, part, padlen=edge)

    if len(samples) < length:
        yield exact(samples)
        return
    yield exact(samples[: 2 * reach])[:reach]
    _, response = scipy.signal.freqz(numerator, denominator, scipy.fft.rfftfreq(length), fs=1)
    gain = np.abs(response) ** 2
    windows = sliding_window_view(samples, length)[:: length - 2 * reach]  # (windows, length)
    for first in range(0, len(windows), TOGETHER):
        spectrum = scipy.fft.rfft(windows[first : first + TOGETHER])
        spectrum *= gain
        yield scipy.fft.irfft(spectrum, length)[:, reach:-reach].reshape(-1)
    done = reach + len(windows) * (length - 2 * reach)
    yield exact(samples[done - reach :])[reach:]


def _interpolate(
    blocks: Iterable[np.ndarray], first: float, step: float, result: np.ndarray
) -> None:
    """Linear interpolation at `first`, `first + step` … samples, constant past the last sample.

    Args:
        blocks: the samples, in consecutive blocks.
        first: position of the first result, in samples.
        step: between results, in samples.
        result: (results,) is filled.
    """
    block = np.empty(0)
    begin = done = 0  # begin: position of the block's first sample
    for new in blocks:
        begin += max(0, len(block) - 1)
        block = np.concatenate([block[-1:], new])  # results may fall between two blocks
        reached = math.floor((begin + len(block) - 1 - first) / step) + 1
        part = result[done:reached]
        start = first + step * done - begin
        if start == int(start) and step == int(step):
            part[:] = block[int(start) :: int(step)][: len(part)]
        else:
            position = start + step * np.arange(len(part))
            part[:] = np.interp(position, np.arange(len(block)), block)
        done = max(done, reached)
    result[done:] = block[-1]


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    for begin in range(0, len(array), BLOCK):
        yield array[begin : begin + BLOCK]
