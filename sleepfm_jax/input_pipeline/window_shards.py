"""Writes windows into ArrayRecord shards through TFDS, in the order of the nights.

Sequentially: TFDS's generator-based builders need TensorFlow for splits of more than 1 GB.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from sleepfm_jax.input_pipeline.window_index import Shard

NAME = "sleepfm_windows"
VERSION = "1.0.0"  # of the records
FILES = ("dataset_info.json", "features.json", "metadata.json")  # that TFDS writes beside shards
MOST_WINDOWS = 512  # in a shard; about half a gigabyte

DESCRIPTION = (
    "Five-minute windows of polysomnography, 128 Hz, z-scored. signals: a Zstandard frame of all "
    "low bytes, then all high bytes of (channels, 38400) float16."
)


def write(
    folder: Path, records: Mapping[str, Iterable[dict[str, Any]]], metadata: Mapping[str, Any]
) -> dict[str, tuple[Shard, ...]]:
    """Writes the records of every split into shards in `folder`, where TFDS can open them.

    Args:
        folder: of the store; it is there.
        records: of each split, taken one by one.
        metadata: kept in TFDS's own metadata.

    Returns:
        The shards of every split, in the order of their windows.

    Raises:
        OSError, RuntimeError: the disk is full, for example.
    """
    info = _info(folder, metadata)
    writer = tfds.core.SequentialWriter(info, MOST_WINDOWS, file_format="array_record")
    writer.initialize_splits([*records])
    for split, examples in records.items():
        writer.add_examples({split: examples})
        writer.close_splits([split])
    return {split: _shards(folder, info.splits[split]) for split in records}


def _shards(folder: Path, split: tfds.core.SplitInfo) -> tuple[Shard, ...]:
    files = zip(sorted(split.filenames), split.shard_lengths, strict=True)
    return tuple(Shard(name, count, (folder / name).stat().st_size) for name, count in files)


def _info(folder: Path, metadata: Mapping[str, Any]) -> tfds.core.DatasetInfo:
    features = tfds.features
    quality = features.Tensor(shape=(None,), dtype=np.float32)
    return tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name=NAME,
            version=tfds.core.Version(VERSION),
            data_dir=str(folder),
            module_name=__name__,
        ),
        description=DESCRIPTION,
        features=features.FeaturesDict(
            {
                "signals": features.Tensor(shape=(), dtype=np.object_),
                "modality": features.Tensor(shape=(None,), dtype=np.int8),
                "labels": features.Sequence(features.Text()),
                "flat": quality,
                "missing": quality,
                "patches": np.int32,
                "start": np.float32,
                "rate": np.int32,
                "night": features.Text(),
                "subject": features.Text(),
            }
        ),
        disable_shuffling=True,
        metadata=tfds.core.MetadataDict(metadata),
    )
