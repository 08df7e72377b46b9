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
    noise *= envelope / noise.std()
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


def drift(generator: np.random.Generator, points: int, seconds: float) -> Array:
    """A stationary Ornstein-Uhlenbeck process on the grid: unit variance, memory of `seconds`."""
    memory = np.exp(-1 / (GRID_RATE * seconds))
    noise = generator.standard_normal(points) * np.sqrt(1 - memory**2)
    noise[0] = generator.standard_normal()
    return signal.lfilter([1.0], [1.0, -memory], noise)


def place(target: Array, times: Iterable[float], shapes: Iterable[Array], rate: float) -> None:
    """Adds each shape to `target` in place, its first sample at the given time (seconds).

    What stands out over either end is cut off.
    """
    for time, shape in zip(times, shapes, strict=True):
        start = round(time * rate)
        begin, end = max(start, 0), min(start + len(shape), len(target))
        if begin < end:
            target[begin:end] += shape[begin - start : end - start]
