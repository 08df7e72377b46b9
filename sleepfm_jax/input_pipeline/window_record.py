"""A window as a record of a store, and back; what stands in the index is not read again."""

from typing import Any

import numpy as np

from sleepfm_jax.input_pipeline import sample_codec, store_record
from sleepfm_jax.input_pipeline.resample import RATE
from sleepfm_jax.input_pipeline.store_index import NightEntry
from sleepfm_jax.input_pipeline.store_kinds import WINDOWS
from sleepfm_jax.input_pipeline.windows import SAMPLES, Screened, Window


def encode(
    screened: Screened, night: str, subject: str, labels: tuple[str, ...], start: float
) -> dict[str, Any]:
    """The fields of a record.

    Args:
        screened: the window.
        night: its name.
        subject: whose night it is.
        labels: (C,) of the channels.
        start: seconds from the start of the recording.
    """
    return {
        "signals": sample_codec.encode(screened.signals),
        "modality": screened.modality,
        "labels": list(labels),
        "flat": screened.flat,
        "missing": screened.missing,
        "patches": screened.patches,
        "start": start,
        "rate": RATE,
        "night": night,
        "subject": subject,
    }


def decode(record: bytes, night: NightEntry) -> Window:
    """The window of a record, a serialized `tf.train.Example`.

    Args:
        record: its bytes.
        night: that it is of, which brings the labels.

    Raises:
        ValueError, LookupError: the record is not what it should be.
    """
    fields = store_record.fields(record, WINDOWS, night.name)
    modality = np.array(fields["modality"].int64_list.value, np.int8)  # (C,)
    if len(modality) != len(night.labels):
        raise ValueError(f"it has {len(modality)} channels, not {len(night.labels)}")
    return Window(
        sample_codec.decode(fields["signals"].bytes_list.value[0], len(modality), SAMPLES),
        modality,
        int(fields["patches"].int64_list.value[0]),
        night.name,
        float(fields["start"].float_list.value[0]),
        night.labels,
    )
