"""The index of a window store: its nights, splits and shards, known without reading records."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sleepfm_jax.errors import InputError

FILE = "windows.json"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class NightEntry:
    """A night in a store.

    Attributes:
        name: of the night.
        subject: whose it is.
        split: that it is in.
        labels: of its channels.
        windows: that were kept.
        dropped: how many were not, by reason.
        emptied: channels' windows that were emptied, by reason.
    """

    name: str
    subject: str
    split: str
    labels: tuple[str, ...]
    windows: int
    dropped: Mapping[str, int]
    emptied: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of a store.

    Attributes:
        file: its name.
        windows: that it holds.
        size: bytes.
    """

    file: str
    windows: int
    size: int


@dataclasses.dataclass(frozen=True)
class Index:
    """What is in a store.

    Attributes:
        nights: in the order of their windows, split by split.
        shards: by split, in the order of their windows.
        made_with: the rule, how nights were split, and by which version.
    """

    nights: tuple[NightEntry, ...]
    shards: Mapping[str, tuple[Shard, ...]]
    made_with: Mapping[str, Any]

    def of_split(self, split: str) -> tuple[NightEntry, ...]:
        """The nights of a split, in the order of their windows.

        Args:
            split: its name.
        """
        return tuple(night for night in self.nights if night.split == split)


def write(folder: Path, index: Index) -> None:
    """Writes the index into a store's folder, with a digest of its content.

    Args:
        folder: of the store.
        index: what is in it.

    Raises:
        OSError: the disk is full, for example.
    """
    content = {
        "format": FORMAT,
        "made_with": dict(index.made_with),
        "nights": [dataclasses.asdict(night) for night in index.nights],
        "shards": {
            s: [dataclasses.asdict(one) for one in all_] for s, all_ in index.shards.items()
        },
    }
    text = _text({**content, "sha256": _digest(content)})
    with (folder / FILE).open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Index:
    """Reads a store's index and compares it with the shards that are there.

    Args:
        folder: of the store.

    Raises:
        InputError: there is no store, its index is damaged, or a shard is absent or cut short.
    """
    content = _load(folder / FILE)
    nights = tuple(NightEntry(**{**n, "labels": tuple(n["labels"])}) for n in content["nights"])
    shards = {s: tuple(Shard(**one) for one in all_) for s, all_ in content["shards"].items()}
    index = Index(nights, shards, content["made_with"])
    for split, files in shards.items():
        if sum(shard.windows for shard in files) != sum(n.windows for n in index.of_split(split)):
            raise InputError(
                f"{folder / FILE} counts other windows in nights and shards of {split}: pack again"
            )
        for shard in files:
            _check_size(folder / shard.file, shard.size)
    return index


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"{path.parent} holds no {FILE}: give a folder that sleepfm-jax pack made"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check it") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: copy the store again, or pack it again") from error
    if not isinstance(content, dict) or content.pop("sha256", None) != _digest(content):
        raise InputError(f"{path} is damaged: copy the store again, or pack it again")
    if content["format"] != FORMAT:
        raise InputError(
            f"{path} is of format {content['format']}, not {FORMAT}: pack again with this version"
        )
    return content


def _check_size(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): copy the store again, or pack it again"
        ) from error
    if found != size:
        fault = "is cut short" if found < size else "is too long"
        raise InputError(
            f"{path} {fault} ({found} bytes, not {size}): copy it again, or pack again"
        )


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(content).encode()).hexdigest()


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1)
