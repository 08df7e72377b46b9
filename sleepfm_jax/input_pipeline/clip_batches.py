"""Batches of clips for the ICML 2024 networks: the order and the streams are those of windows."""

import numpy as np

from sleepfm_jax.input_pipeline import batches, clips
from sleepfm_jax.input_pipeline.batch_streams import Endless, Fixed
from sleepfm_jax.input_pipeline.batching import SampleBatching
from sleepfm_jax.input_pipeline.clips import Clip, Source
from sleepfm_jax.input_pipeline.collate import Batch
from sleepfm_jax.input_pipeline.hypnogram import UNSCORED


class ClipRows:
    """Clips: clips (b, 9, 7680) float16, present (b, 3) bool, stage (b,) int8."""

    def empty(self, rows: int) -> Batch:
        """Arrays for so many rows."""
        return {
            "clips": np.empty((rows, len(clips.CHANNELS), clips.SAMPLES), np.float16),
            "present": np.zeros((rows, len(clips.MODALITIES)), bool),
            "stage": np.full(rows, UNSCORED, np.int8),
        }

    def put(self, batch: Batch, row: int, sample: Clip | None, place: int) -> None:
        """Fills a row with a clip as it is; zeros if there is none."""
        del place  # nothing is drawn
        if sample is None:
            batch["clips"][row] = 0
            return
        batch["clips"][row] = sample.signals
        batch["present"][row] = clips.modalities_present(sample.present)
        batch["stage"][row] = sample.stage


def training(
    source: Source, batching: SampleBatching, process: int = 0, processes: int = 1
) -> Endless:
    """Batches to train on, without end.

    Args:
        source: of clips.
        batching: how they become batches.
        process: this one, from 0.
        processes: that each take their contiguous b = batch_size / processes rows of a batch.

    Returns:
        An iterator with `get_state` and `set_state`. Its batches hold `clips` (b, 9, 7680) float16,
        zeros in empty places; `present` (b, 3) bool, which modalities a clip has; `stage` (b,)
        int8, −1 unscored; `night` (b,) int32, index into `source.nights`.

    Raises:
        InputError: the batch does not divide by the processes, or there are too few clips or
            nights; from `next`: a clip is damaged.
    """
    return batches.endless(source, ClipRows(), batching, process, processes)


def held_out(
    source: Source,
    samples: int,
    batching: SampleBatching,
    process: int = 0,
    processes: int = 1,
) -> Fixed:
    """Batches to validate on: a fixed choice of clips, shuffled.

    Args:
        source: of clips.
        samples: to choose; all, if there are fewer.
        batching: its size and seed count here.
        process: this one, from 0.
        processes: that each take their rows.

    Returns:
        An iterable of batches as of `training`, with a length. The last one is filled up with
        empty rows: no modality, stage −1, night −1.

    Raises:
        InputError: the batch does not divide by the processes, or a value makes no sense; from the
            iteration: a clip is damaged.
    """
    return batches.fixed(source, ClipRows(), samples, batching, process, processes)
