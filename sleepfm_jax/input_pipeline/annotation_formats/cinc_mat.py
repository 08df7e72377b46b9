"""CinC 2018's `-arousal.mat` (MATLAB 7.3): one-hot stages and arousals for every sample."""

import h5py
import numpy as np

from sleepfm_jax.input_pipeline.annotation_formats import marks, wfdb_header
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark
from sleepfm_jax.input_pipeline.hypnogram import UNSCORED

RATE = 200.0  # Hz, of all records of the challenge
SIGNATURE = b"\x89HDF\r\n\x1a\n"
STAGES = {"wake": 0, "nonrem1": 1, "nonrem2": 2, "nonrem3": 3, "rem": 4, "undefined": UNSCORED}


def recognises(document: Document) -> bool:
    """Whether the file is HDF5, with or without MATLAB's 512 bytes before it."""
    return SIGNATURE in (document.head[:8], document.head[512:520])


def read(document: Document) -> Annotations:
    """Reads stages, and the arousals that the challenge asks for.

    The rate is the one of the header (`.hea`) beside the file, else the challenge's 200 Hz.

    Raises:
        InputError: the file is damaged, is other HDF5, or its stages differ in length or overlap.
    """
    header = wfdb_header.beside(document)
    rate = header.rate if header else RATE
    try:
        with h5py.File(document.path, "r") as file:
            hot = {name: file[f"data/sleep_stages/{name}"][()].ravel() for name in STAGES}
            arousals = file["data/arousals"][()].ravel()
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise document.fault(
            f"holds no sleep stages as the CinC 2018 challenge writes them ({error}): give a "
            "label file, not a recording"
        ) from error
    lengths = {len(rows) for rows in (*hot.values(), arousals)}
    if len(lengths) != 1:
        raise document.fault(f"holds stages of different lengths ({sorted(lengths)}): get it again")
    if (sum((rows != 0).astype(np.int8) for rows in hot.values()) > 1).any():
        raise document.fault("holds two stages at one time: get it again")
    found = [
        Mark(begin / rate, (stop - begin) / rate, name, stage=code)
        for name, code in STAGES.items()
        for begin, stop in _runs(hot[name] != 0)
    ]
    found += [
        Mark(begin / rate, (stop - begin) / rate, "target arousal")
        for begin, stop in _runs(arousals == 1)
    ]
    return marks.gather(document, found)


def _runs(active: np.ndarray) -> np.ndarray:
    """(runs, 2) first sample of each run of True, and one past its last."""
    edges = np.diff(np.concatenate(([False], active, [False])).astype(np.int8))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)
