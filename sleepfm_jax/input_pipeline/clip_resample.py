"""A channel at any rate to the 256 Hz of clips, by a polyphase filter, anti-aliased.

In runs of clips, each placed anew: what rounds in a ratio of rates never adds up over a night.
"""

import functools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import scipy.signal

from sleepfm_jax.input_pipeline.clips import RATE, SAMPLES

RUN = 64  # clips at a time
FINEST = 4096  # of the denominators that stand for a ratio of rates
DRIFT = 0.25  # of a sample of 256 Hz, that a ratio may be off by at the end of a run
REACH = 10  # zero crossings of `scipy.signal.resample_poly`'s filter, on each side


def ratio(rate: float) -> Fraction:
    """256 Hz over a rate, with a denominator and a numerator that a filter can be made for.

    Args:
        rate: Hz.
    """
    whole = Fraction(RATE) / Fraction(rate).limit_denominator(1_000_000)
    return whole.limit_denominator(max(1, int(FINEST / max(1.0, float(whole)))))


def to_clips(samples: np.ndarray, rate: float, first: float, count: int) -> np.ndarray:
    """Clips that follow each other, out of samples without a gap.

    A sample stands within 1/(512·D) s of its time, D being the denominator of the ratio of rates:
    for 200 Hz exactly where a clip begins at a sample of the source; never half a sample off.

    Args:
        samples: (n,) float64 at `rate`, all finite.
        rate: Hz.
        first: seconds from the first sample to the start of the first clip.
        count: K; the last clip ends where the samples do, or before.

    Returns:
        (K, 7680) float64 at 256 Hz. Beyond its ends the signal is taken to keep its value.
    """
    result = np.empty((count, SAMPLES))
    for start, stop in _runs(rate, count):
        begin = first * rate + start * (SAMPLES * rate / RATE)  # in source samples
        result[start:stop].reshape(-1)[:] = _run(samples, rate, begin, (stop - start) * SAMPLES)
    return result


def _runs(rate: float, count: int) -> Iterator[tuple[int, int]]:
    """Runs of clips, short enough that the ratio is as good as exact."""
    off = abs(float(ratio(rate)) * rate / RATE - 1)  # samples of drift, each sample
    longest = RUN if off * RUN * SAMPLES < DRIFT else max(1, int(DRIFT / (off * SAMPLES)))
    for start in range(0, count, longest):
        yield start, min(start + longest, count)


def _run(samples: np.ndarray, rate: float, begin: float, count: int) -> np.ndarray:
    """`count` samples at 256 Hz, the first at position `begin` of the source.

    The filter knows the positions i + m·down/up, of whole i and m: the nearest of them is taken.
    """
    up, down = ratio(rate).as_integer_ratio()
    middle = count / 2 * (rate / RATE - down / up)  # what an inexact ratio is off by, halved
    position = round((begin + middle) * up)  # in source samples / up
    lead = position * pow(down, -1, up) % up if up > 1 else 0  # m
    place = (position - lead * down) // up  # i
    reach = math.ceil(REACH * max(1, down / up)) + 1
    before = math.ceil(reach / down)  # of the filter's cycles, `down` samples each
    start = place - before * down
    skipped = lead + before * up
    stop = math.ceil(begin + count * rate / RATE) + reach
    piece = samples[np.clip(np.arange(start, stop), 0, len(samples) - 1)]
    if up != down:
        piece = scipy.signal.resample_poly(piece, up, down, window=_low_pass(up, down))
    return piece[skipped : skipped + count]


@functools.lru_cache(maxsize=32)
def _low_pass(up: int, down: int) -> np.ndarray:
    """`scipy.signal.resample_poly`'s own filter, but constants pass it without a ripple.

    Its taps are dealt to `up` phases, the sums of which differ by 1e-3: on an oxygen saturation of
    95 % or a drifting baseline that would be a tone.
    """
    widest = max(up, down)
    taps = scipy.signal.firwin(2 * REACH * widest + 1, 1 / widest, window=("kaiser", 5.0))
    for phase in range(up):
        taps[phase::up] /= up * taps[phase::up].sum()
    return taps
