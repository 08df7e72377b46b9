"""Embeddings of clips from which stages and partners can be told, as `sleepfm-jax embed` writes."""

from pathlib import Path

import numpy as np

from sleepfm_jax.input_pipeline import clip_embeddings
from sleepfm_jax.input_pipeline.clip_embeddings import ClipEmbeddings

WIDTH = 8
SUBJECTS = {"train": ("a", "b", "c", "d"), "test": ("e", "f", "g")}


def night(name: str, subject: str, split: str, noise: float, clips: int) -> ClipEmbeddings:
    """What the modalities share is the stage and the clip; each adds noise of its own.

    Respiration is noisier, every tenth clip lacks the ECG, and every eleventh is unscored.
    """
    draw = np.random.default_rng(abs(hash_of(name)))
    stages = draw.choice(5, clips, p=(0.25, 0.1, 0.4, 0.1, 0.15))
    shared = np.eye(5, WIDTH)[stages] + 0.5 * draw.standard_normal((clips, WIDTH))
    own = draw.standard_normal((clips, 3, WIDTH)) * noise * np.array([3, 1, 1])[:, None]
    present = np.ones((clips, 3), bool)
    present[::10, 2] = False
    rows = np.where(present[..., None], shared[:, None] + own, 0)
    return ClipEmbeddings(
        name=name,
        rows=rows.astype(np.float32),
        present=present,
        starts=30.0 * np.arange(clips),
        stages=np.where(np.arange(clips) % 11 == 10, -1, stages).astype(np.int8),
        provenance={"model_sha256": "ab" * 32},
        subject=subject,
        split=split,
    )


def hash_of(name: str) -> int:
    """The same in every process."""
    return int.from_bytes(name.encode(), "big")


def cohort(folder: Path, noise: float = 0.2, clips: int = 40) -> Path:
    """Two nights of each subject."""
    for split, subjects in SUBJECTS.items():
        for subject in subjects:
            for visit in (1, 2):
                one = night(f"{subject}{visit}", subject, split, noise, clips)
                clip_embeddings.write(folder, one)
    return folder
