"""A clip as a record of a store, and back; what stands in the index is not read again."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sleepfm_jax.input_pipeline import sample_codec, store_record
from sleepfm_jax.input_pipeline.clips import CHANNELS, RATE, SAMPLES, Clip
from sleepfm_jax.input_pipeline.store_kinds import CLIPS


def encode(clip: Clip, subject: str, labels: Sequence[str]) -> dict[str, Any]:
    """The fields of a record.

    Args:
        clip: of which it is.
        subject: whose night it is.
        labels: (9,) of the channels that fill the places; empty where nothing does.
    """
    return {
        "signals": sample_codec.encode(clip.signals),
        "present": clip.present.astype(np.int8),
        "stage": clip.stage,
        "labels": list(labels),
        "start": clip.start,
        "rate": RATE,
        "night": clip.night,
        "subject": subject,
    }


def decode(record: bytes, night: str, stage: int, start: float) -> Clip:
    """The clip of a record, a serialized `tf.train.Example`.

    Args:
        record: its bytes.
        night: name of the night that it is of.
        stage: that the index tells.
        start: that the index tells; records round it to milliseconds.

    Raises:
        ValueError, LookupError: the record is not what it should be.
    """
    fields = store_record.fields(record, CLIPS, night)
    present = np.array(fields["present"].int64_list.value, bool)  # (9,)
    if len(present) != len(CHANNELS):
        raise ValueError(f"it has {len(present)} places, not {len(CHANNELS)}")
    if fields["stage"].int64_list.value[0] != stage:
        raise ValueError("its stage is another than in the index")
    if np.float32(fields["start"].float_list.value[0]) != np.float32(start):
        raise ValueError("a clip of another time stands there")
    signals = sample_codec.decode(
        fields["signals"].bytes_list.value[0], len(CHANNELS), SAMPLES
    )  # (9, 7680)
    return Clip(signals, present, stage, night, start)
