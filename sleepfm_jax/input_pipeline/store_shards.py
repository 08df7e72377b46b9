"""Writes windows or clips into ArrayRecord shards through TFDS, in the order of the nights.

Sequentially: TFDS's generator-based builders need TensorFlow for splits of more than 1 GB.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from sleepfm_jax.input_pipeline.store_index import Shard
from sleepfm_jax.input_pipeline.store_kinds import Field, Kind

VERSION = "1.0.0"  # of the records
FILES = ("dataset_info.json", "features.json", "metadata.json")  # that TFDS writes beside shards


def write(
    folder: Path,
    kind: Kind,
    records: Mapping[str, Iterable[dict[str, Any]]],
    metadata: Mapping[str, Any],
) -> dict[str, tuple[Shard, ...]]:
    """Writes the records of every split into shards in `folder`, where TFDS can open them.

    Args:
        folder: of the store; it is there.
        kind: what the records are.
        records: of each split, taken one by one.
        metadata: kept in TFDS's own metadata.

    Returns:
        The shards of every split, in the order of their records.

    Raises:
        OSError, RuntimeError: the disk is full, for example.
    """
    info = _info(folder, kind, metadata)
    writer = tfds.core.SequentialWriter(info, kind.most, file_format="array_record")
    writer.initialize_splits([*records])
    for split, examples in records.items():
        writer.add_examples({split: examples})
        writer.close_splits([split])
    return {split: _shards(folder, info.splits[split]) for split in records}


def _shards(folder: Path, split: tfds.core.SplitInfo) -> tuple[Shard, ...]:
    files = zip(sorted(split.filenames), split.shard_lengths, strict=True)
    return tuple(Shard(name, count, (folder / name).stat().st_size) for name, count in files)


def _info(folder: Path, kind: Kind, metadata: Mapping[str, Any]) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name=kind.dataset,
            version=tfds.core.Version(VERSION),
            data_dir=str(folder),
            module_name=__name__,
        ),
        description=kind.description,
        features=tfds.features.FeaturesDict(
            {name: _feature(field) for name, field in kind.fields.items()}
        ),
        disable_shuffling=True,
        metadata=tfds.core.MetadataDict(metadata),
    )


def _feature(field: Field) -> Any:
    """A field as TFDS describes it."""
    features = tfds.features
    if field is bytes:
        return features.Tensor(shape=(), dtype=np.object_)
    if field is str:
        return features.Text()
    if field == (str,):
        return features.Sequence(features.Text())
    if isinstance(field, tuple):
        return features.Tensor(shape=(None,), dtype=field[0])
    return field
