"""A packed store of a few small nights, and the settings of runs on it that take seconds.

Twelve windows to train on, six held out. A night's channels share a tone, so there is something to
be found; nights have three to six channels of three or four modalities, and uneven ends.
"""

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.windows import PATCH
from sleepfm_jax.jobs.pack import pack
from sleepfm_jax.train import configuration, settings
from tests.input_pipeline import small_nights

LABELS = ("C3-M2", "Airflow", "ECG", "Chin EMG", "O1-M2", "SpO2")
SPLITS = {"train": 6, "validation": 3}  # nights of two windows each
PATCHES = 90

SMALL: dict[str, Any] = {
    "steps": 12,
    "model": {
        "embed_dim": 16,
        "num_heads": 2,
        "num_layers": 1,
        "pooling_heads": 2,
        "feed_forward": 32,
        "dropout": 0.1,
        "max_patches": 60,
    },
    "optimizer": {"name": "adamw", "learning_rate": 3e-3, "schedule": "constant"},
    "batches": {"batch_size": 4, "slots": 4, "channel_dropout": 0.3, "amplitude_jitter": 0.1},
    "loop": {
        "log_every": 1,
        "validate_every": 5,
        "validation_windows": 6,
        "checkpoint_every": 3,
    },
}


@functools.cache
def path() -> Path:
    """The store; made at the first call, removed when Python ends. Not to be changed."""
    folder = Path(_temporary().name)
    for split, nights in SPLITS.items():
        for number in range(nights):
            write_night(folder / "nights" / f"{split}-{number}.hdf5", number)
    splits = {f"{split}-{n}": split for split, nights in SPLITS.items() for n in range(nights)}
    summary = pack([folder / "nights"], folder / "store", splits=Splits(published=splits))
    assert summary.done == sum(SPLITS.values())
    return folder / "store"


def write_night(path: Path, number: int) -> Path:
    """A recording whose channels share a tone."""
    draw = np.random.default_rng([number, *path.name.encode()])
    time = np.arange(PATCHES * PATCH) / PATCH
    tone = np.sin(2 * np.pi * draw.uniform(1, 60) * time)
    labels = LABELS[: 3 + number % 4]
    signals = {
        label: (tone + draw.standard_normal(len(time))).astype(np.float16) for label in labels
    }
    return small_nights.write(path, signals)


def config(**changed: Any) -> dict[str, Any]:
    """A configuration of such a run as plain dictionaries.

    Args:
        changed: values by dotted name with two underscores for the dot, `loop__log_every=2`.
    """
    tree: dict[str, Any] = {
        **{name: dict(v) if isinstance(v, dict) else v for name, v in SMALL.items()},
        "data": {"path": str(path())},
    }
    for name, value in changed.items():
        *parts, last = name.split("__")
        place = tree
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def run_settings(**changed: Any) -> settings.Pretraining:
    """The settings of such a run; see `config`."""
    return configuration.read(settings.Pretraining, config(**changed))


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="small_store")
