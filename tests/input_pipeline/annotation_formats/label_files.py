"""Real label files beside the clone, and what a hypnogram amounts to."""

from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.input_pipeline.hypnogram import Hypnogram
from tests.conftest import SHARED


def real(name: str) -> Path:
    """A file of ../shared/data; the test that needs it skips where it is absent."""
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"{name} (../shared/data) is not on this machine")
    return path


def seconds(hypnogram: Hypnogram | None) -> dict[int, float]:
    """How long each stage lasts."""
    assert hypnogram is not None
    assert (hypnogram.stops[:-1] <= hypnogram.starts[1:]).all()
    lengths = hypnogram.stops - hypnogram.starts
    assert (lengths > 0).all()
    stages = hypnogram.stages
    return {int(s): round(float(lengths[stages == s].sum()), 6) for s in np.unique(stages)}
