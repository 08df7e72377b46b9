"""WFDB records for tests: written by wfdb itself, then damaged."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wfdb

RATE = 200
SECONDS = 40
LABELS = ("C3-M2", "SaO2", "ECG")
INVALID = -(1 << 15)  # of format 16: nothing was measured


def digits(seed: int = 0, bits: int = 8, seconds: int = SECONDS) -> np.ndarray:
    """(samples, 3) integers that fit in `bits`, none of them the mark of a missing one."""
    most = (1 << bits - 1) - 1
    drawn = np.random.default_rng(seed).integers(-most, most, (RATE * seconds, 3), endpoint=True)
    return drawn.astype(np.int64)


def write(
    folder: Path,
    signals: np.ndarray,
    name: str = "night",
    form: str = "16",
    labels: Sequence[str] = LABELS,
) -> Path:
    """A record of one file in one format; returns its header."""
    count = len(labels)
    wfdb.wrsamp(
        name,
        fs=RATE,
        units=["uV", "%", "mV"][:count],
        sig_name=list(labels),
        d_signal=signals,
        fmt=[form] * count,
        adc_gain=[1.0, 4.0, 1000.0][:count],
        baseline=[0, -64, 5][:count],
        write_dir=str(folder),
    )
    return folder / f"{name}.hea"


def change(header: Path, old: str, new: str) -> Path:
    """Replaces words in a header, which must hold them."""
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    return header
