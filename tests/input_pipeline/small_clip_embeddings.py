"""Stored embeddings of clips that say where they come from."""

from pathlib import Path

import numpy as np

from sleepfm_jax.input_pipeline import clip_embeddings
from sleepfm_jax.input_pipeline.clip_embeddings import ClipEmbeddings

WIDTH = 4
PROVENANCE = {"source": "night.edf", "model": "towers", "model_sha256": "cd" * 32}


def night(
    name: str = "night",
    clips: int = 12,
    seed: int = 0,
    subject: str | None = "p0",
    split: str | None = "train",
) -> ClipEmbeddings:
    """Random embeddings; every third clip lacks the ECG, stages go round, the last is unscored."""
    draw = np.random.default_rng(seed)
    present = np.ones((clips, 3), bool)
    present[::3, 2] = False
    stages = np.arange(clips) % 5
    stages[-1:] = -1
    rows = draw.standard_normal((clips, 3, WIDTH)).astype(np.float32)
    return ClipEmbeddings(
        name=name,
        rows=np.where(present[..., None], rows, np.float32(0)),
        present=present,
        starts=60.0 + 30.0 * np.arange(clips),
        stages=stages.astype(np.int8),
        provenance=PROVENANCE,
        labels=("Thor", "", "Abd", "C3-A2", "C4-A1", "", "", "LOC", "EKG"),
        subject=subject,
        split=split,
    )


def store(folder: Path, *nights: ClipEmbeddings) -> Path:
    """Writes nights as `sleepfm-jax embed` does."""
    for one in nights:
        clip_embeddings.write(folder, one)
    return folder
