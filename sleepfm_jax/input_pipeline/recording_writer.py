"""Writes a night at the model's rate: one HDF5 a night, one float16 dataset a channel (spec §4).

The layout is the published one: gzip, chunks of five minutes. Chunks are packed here, in threads,
and handed to HDF5 ready-made, which would pack them one by one under its lock.
"""

import dataclasses
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax import atomic
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.quality import Quality
from sleepfm_jax.input_pipeline.resample import RATE

FORMAT = 1  # of the attributes; the layout is the published one
CHUNK = 300 * RATE  # samples in five minutes
DIVISION_SLASH = "\N{DIVISION SLASH}"  # stands for "/", which HDF5 takes for a folder

# Shuffled bytes in runs and Huffman codes are a tenth smaller than plain gzip's and packed three
# times as fast; searching for repeats as well wins 7 % in size for 1.7 times the time.
LEVEL = 1
STRATEGY = zlib.Z_RLE


@dataclasses.dataclass(frozen=True)
class Signal:
    """One channel at the model's rate.

    Attributes:
        label: as in the source, unique within the recording.
        modality: what it was taken for.
        samples: (N,) float16, 128 Hz, z-scored.
        source_rate: Hz.
        unit: of the source.
        quality: of the source.
    """

    label: str
    modality: Modality
    samples: np.ndarray
    source_rate: float
    unit: str
    quality: Quality


def write(
    path: str | os.PathLike[str],
    signals: Iterable[Signal],
    provenance: Mapping[str, str | float],
    threads: int = 1,
) -> None:
    """Writes a recording; the file is complete or absent.

    One signal at a time is taken from `signals` and held.

    Args:
        path: where the recording shall stand.
        signals: the channels, all of the same length.
        provenance: where they come from; becomes the file's attributes.
        threads: that compress.

    Raises:
        InputError: there is no signal, or no room on the disk.
    """
    try:
        with atomic.replacing(path) as temporary:
            _write(temporary, signals, provenance, threads)
    except (OSError, RuntimeError) as error:
        raise _disk_fault(path, error) from error


def _write(
    path: Path, signals: Iterable[Signal], provenance: Mapping[str, str | float], threads: int
) -> None:
    with ThreadPoolExecutor(threads) as pool, h5py.File(path, "w", track_order=True) as file:
        for signal in signals:
            count = len(signal.samples)
            size = min(CHUNK, count)
            dataset = file.create_dataset(
                signal.label.replace("/", DIVISION_SLASH),
                shape=(count,),
                dtype="<f2",
                chunks=(size,),
                shuffle=True,
                compression="gzip",
                compression_opts=LEVEL,
            )
            starts = range(0, count, size)
            chunks = (signal.samples[start : start + size] for start in starts)
            for start, packed in zip(starts, pool.map(_pack, chunks, repeat(size)), strict=False):
                dataset.id.write_direct_chunk((start,), packed)
            dataset.attrs.update(_attributes(signal))
        if not len(file):
            raise InputError(f"{path} would hold no channel: nothing to write")
        file.attrs.update({**provenance, "format": FORMAT, "rate": RATE})
        file.flush()


def _pack(samples: np.ndarray, size: int) -> bytes:
    """One chunk as HDF5's shuffle and deflate filters would make it, but outside their lock."""
    chunk = np.zeros(size, "<f2")
    chunk[: len(samples)] = samples
    shuffled = chunk.view(np.uint8).reshape(size, 2).T.tobytes()  # all low bytes, all high bytes
    packer = zlib.compressobj(LEVEL, strategy=STRATEGY)
    return packer.compress(shuffled) + packer.flush()


def _attributes(signal: Signal) -> dict[str, str | float]:
    return {
        "label": signal.label,
        "modality": signal.modality.name,
        "source_rate": signal.source_rate,
        "unit": signal.unit,
        **dataclasses.asdict(signal.quality),
    }


def _disk_fault(path: str | os.PathLike[str], error: OSError | RuntimeError) -> InputError:
    """The fault in words; a RuntimeError that does not come from a failed write is raised again.

    HDF5 tries to write once more when it closes the file and then raises a RuntimeError.
    """
    fault = error.__context__ if isinstance(error.__context__, OSError) else error
    number = re.search(r"errno = (\d+)", str(fault))
    if isinstance(fault, OSError) and fault.errno:
        reason = os.strerror(fault.errno)
    elif number:
        reason = os.strerror(int(number[1]))
    else:
        raise error
    return InputError(
        f"{path} cannot be written ({reason}): make room on the disk or write elsewhere, "
        "then run this again"
    )
