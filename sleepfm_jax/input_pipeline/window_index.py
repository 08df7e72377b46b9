"""The index of a window store; `store_index` holds what it shares with that of clips."""

from pathlib import Path

from sleepfm_jax.input_pipeline import store_index
from sleepfm_jax.input_pipeline.store_index import Index
from sleepfm_jax.input_pipeline.store_kinds import WINDOWS

FILE = WINDOWS.file


def read(folder: Path) -> Index:
    """Reads the index of a window store, as `store_index.read`."""
    return store_index.read(folder, WINDOWS)
