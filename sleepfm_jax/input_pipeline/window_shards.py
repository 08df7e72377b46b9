"""Writes windows into ArrayRecord shards through a TFDS builder, in the order of the nights."""

import contextlib
import io
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from sleepfm_jax.input_pipeline.window_index import Shard

NAME = "sleepfm_windows"
FILES = ("dataset_info.json", "features.json", "metadata.json")  # that TFDS writes beside shards
LARGEST_SHARD = 1 << 30  # bytes
KEYS = 1 << 128  # TFDS sorts by keys below this

Shards = dict[str, tuple[Shard, ...]]
Records = Mapping[str, tuple[int, Iterator[dict[str, Any]]]]


def write(folder: Path, records: Records, metadata: Mapping[str, Any]) -> Shards:
    """Writes the records of every split into shards in `folder`, where TFDS can open them.

    Args:
        folder: of the store.
        records: count and records of each split, which are taken one by one.
        metadata: kept in TFDS's own metadata.

    Returns:
        The shards of every split, in the order of their windows.

    Raises:
        OSError, RuntimeError: the disk is full, for example.
    """
    work = folder / ".tfds"
    builder = _Builder(records, metadata, data_dir=str(work), file_format="array_record")
    settings = tfds.download.DownloadConfig(max_shard_size=LARGEST_SHARD, try_download_gcs=False)
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS speaks of a download
        builder.download_and_prepare(download_config=settings)
    for file in Path(builder.data_dir).iterdir():
        os.replace(file, folder / file.name)
    shutil.rmtree(work)
    return {split: _shards(folder, builder.info.splits[split]) for split in records}


def _shards(folder: Path, split: tfds.core.SplitInfo) -> tuple[Shard, ...]:
    files = zip(sorted(split.filenames), split.shard_lengths, strict=True)
    return tuple(Shard(name, count, (folder / name).stat().st_size) for name, count in files)


class _Builder(tfds.core.GeneratorBasedBuilder):
    """Windows of nights as a TFDS dataset."""

    name = NAME
    VERSION = tfds.core.Version("1.0.0")
    url_infos = (
        None  # nothing is downloaded; to find that out TFDS needs a package it does not bring
    )

    def __init__(self, records: Records, metadata: Mapping[str, Any], **settings: Any) -> None:
        self._records = records
        self._metadata = metadata
        super().__init__(**settings)

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features
        channels = features.Tensor(shape=(None,), dtype=np.float32)
        return tfds.core.DatasetInfo(
            builder=self,
            description="Five-minute windows of polysomnography at 128 Hz, z-scored; see "
            "sleepfm_jax.input_pipeline.window_codec for the bytes of the signals.",
            features=features.FeaturesDict(
                {
                    "signals": features.Tensor(shape=(), dtype=np.object_),
                    "modality": features.Tensor(shape=(None,), dtype=np.int8),
                    "labels": features.Sequence(features.Text()),
                    "flat": channels,
                    "missing": channels,
                    "patches": np.int32,
                    "start": np.float32,
                    "rate": np.int32,
                    "night": features.Text(),
                    "subject": features.Text(),
                }
            ),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(self._metadata),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {split: _keyed(*records) for split, records in self._records.items()}

    def _generate_examples(self) -> Iterator[tuple[int, Any]]:
        raise NotImplementedError("the splits bring their own generators")


def _keyed(count: int, records: Iterator[dict[str, Any]]) -> Iterator[tuple[int, Any]]:
    """Keys in order, spread over all there are: TFDS sorts them in buckets, one at a time."""
    for number, one in enumerate(records):
        yield number * (KEYS // count), one
