"""What a packed store may hold: five-minute windows or thirty-second clips; one layout for both."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

# Of a record: bytes, text, a number of this type, or, in a tuple of one, any number of these.
Field: TypeAlias = type | tuple[type]


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of store.

    Attributes:
        one: what a record is.
        many: how many are counted under this name, in the index and in sentences.
        file: the index.
        command: that makes such a store.
        dataset: name of the shards.
        most: records in a shard; about half a gigabyte.
        description: of the records, for who reads them by TFDS alone.
        fields: of a record.
    """

    one: str
    many: str
    file: str
    command: str
    dataset: str
    most: int
    description: str
    fields: Mapping[str, Field]


_ANY: dict[str, Field] = {"start": np.float32, "rate": np.int32, "night": str, "subject": str}

WINDOWS = Kind(
    one="window",
    many="windows",
    file="windows.json",
    command="pack",
    dataset="sleepfm_windows",
    most=512,
    description=(
        "Five-minute windows of polysomnography, 128 Hz, z-scored. signals: a Zstandard frame of "
        "all low bytes, then all high bytes of (channels, 38400) float16."
    ),
    fields=MappingProxyType(
        {
            "signals": bytes,
            "modality": (np.int8,),
            "labels": (str,),
            "flat": (np.float32,),
            "missing": (np.float32,),
            "patches": np.int32,
            **_ANY,
        }
    ),
)

CLIPS = Kind(
    one="clip",
    many="clips",
    file="clips.json",
    command="clip",
    dataset="sleepfm_clips",
    most=4096,
    description=(
        "Thirty-second clips of polysomnography, 256 Hz, with their sleep stages. signals: a "
        "Zstandard frame of all low bytes, then all high bytes of (9, 7680) float16."
    ),
    fields=MappingProxyType(
        {"signals": bytes, "present": (np.int8,), "stage": np.int8, "labels": (str,), **_ANY}
    ),
)

KINDS = (WINDOWS, CLIPS)
