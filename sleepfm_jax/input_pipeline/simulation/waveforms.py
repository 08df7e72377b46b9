"""What signals are built of: envelopes on a slow grid, rhythms, coloured noise, placed shapes."""

from collections.abc import Iterable

import numpy as np
from scipy import fft, ndimage, signal

GRID_RATE = 4  # Hz; every envelope lives here, and every channel's rate is a multiple of it

Array = np.ndarray


def upsample(envelope: Array, rate: int) -> Array:
    """Linear interpolation from the grid to a channel's rate.

    Args:
        envelope: (n + 1,) values at grid points 0 … n, real or complex.
        rate: Hz, a multiple of `GRID_RATE`.

    Returns:
        (n · rate / GRID_RATE,) values, float32 or complex64.
    """
    step = rate // GRID_RATE
    dtype = np.complex64 if np.iscomplexobj(envelope) else np.float32
    values = envelope.astype(dtype)
    fraction = (np.arange(step) / step).astype(np.float32)
    rows = np.diff(values)[:, None] * fraction  # (n, step)
    rows += values[:-1, None]
    return rows.ravel()


def rhythm(
    generator: np.random.Generator, envelope: Array, rate: int, frequency: float, bandwidth: float
) -> Array:
    """A narrow-band random rhythm (alpha, theta, slow waves) with unit RMS times the envelope.

    Complex noise of the given bandwidth, drawn on the grid, turns a carrier; the carrier is
    advanced by products instead of sines, which makes a night of it cheap.

    Args:
        generator: source of the noise.
        envelope: (n + 1,) RMS amplitude on the grid.
        rate: Hz of the result.
        frequency: centre, Hz.
        bandwidth: Hz, below GRID_RATE / 2; the width (two standard deviations) of the spectrum.

    Returns:
        (n · rate / GRID_RATE,) float32.
    """
    points = len(envelope)
    noise = generator.standard_normal((2, points))
    width = GRID_RATE / (np.sqrt(2) * np.pi * bandwidth)  # of the kernel in time, grid points
    noise = ndimage.gaussian_filter1d(noise, width, axis=1, mode="wrap")
    # Linear interpolation between points of correlation r keeps (2 + r) / 3 of the variance.
    variance, r = noise.var(), np.mean(noise[:, 1:] * noise[:, :-1]) / noise.var()
    noise *= envelope / np.sqrt(variance * (2 + r) / 3)
    turn = 2 * np.pi * frequency / GRID_RATE
    carrier = np.exp(1j * np.mod(turn * np.arange(points), 2 * np.pi))
    analytic = (noise[0] + 1j * noise[1]).astype(np.complex64)
    step = rate // GRID_RATE
    fraction = (np.arange(step) / step).astype(np.float32)
    fast = np.exp(1j * turn * fraction).astype(np.complex64)  # (step,)
    # Interpolate the slow factor, multiply by the carrier inside each grid cell.
    start = (analytic[:-1] * carrier[:-1]).astype(np.complex64)  # (n,)
    change = (np.diff(analytic) * carrier[:-1]).astype(np.complex64)  # (n,)
    rows = np.multiply.outer(start.real, fast.real) - np.multiply.outer(start.imag, fast.imag)
    fast *= fraction
    rows += np.multiply.outer(change.real, fast.real) - np.multiply.outer(change.imag, fast.imag)
    return rows.ravel()


def coloured_noise(
    generator: np.random.Generator, samples: int, rate: int, exponent: float, low: float = 0.3
) -> Array:
    """Noise whose power falls as 1 / frequency^exponent above `low` Hz, unit standard deviation.

    The 1/f background of EEG has exponents of 1 to 2.5 (Donoghue et al., Nat Neurosci 2020).

    Returns:
        (samples,) float32.
    """
    length = fft.next_fast_len(samples, real=True)
    frequencies = fft.rfftfreq(length, 1 / rate).astype(np.float32)
    gain = (frequencies**2 + np.float32(low**2)) ** np.float32(-exponent / 4)
    gain[frequencies < low / 2] = 0  # amplifiers are AC-coupled
    parts = generator.standard_normal(2 * len(gain), dtype=np.float32)
    noise = fft.irfft(parts.view(np.complex64) * gain, length)[:samples]
    return noise / noise.std()


def white_noise(generator: np.random.Generator, samples: int) -> Array:
    """(samples,) float32 noise of unit standard deviation."""
    return generator.standard_normal(samples, dtype=np.float32)


def drift(
    generator: np.random.Generator, points: int, memory: float, step: float = 1 / GRID_RATE
) -> Array:
    """A stationary Ornstein-Uhlenbeck process of unit variance.

    Args:
        generator: source of the random numbers.
        points: how many.
        memory: seconds after which the correlation has fallen to 1/e.
        step: seconds from point to point; the grid's by default.

    Returns:
        (points,) float64.
    """
    kept = np.exp(-step / memory)
    noise = generator.standard_normal(points) * np.sqrt(1 - kept**2)
    noise[0] = generator.standard_normal()
    return signal.lfilter([1.0], [1.0, -kept], noise)


def place(target: Array, times: Iterable[float], shapes: Iterable[Array], rate: float) -> None:
    """Adds each shape to `target` in place, its first sample at the given time (seconds).

    What stands out over either end is cut off.
    """
    for time, shape in zip(times, shapes, strict=True):
        start = round(time * rate)
        begin, end = max(start, 0), min(start + len(shape), len(target))
        if begin < end:
            target[begin:end] += shape[begin - start : end - start]
