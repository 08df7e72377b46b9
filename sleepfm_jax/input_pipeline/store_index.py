"""The index of a packed store: its nights, splits and shards, known without reading records."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.store_kinds import KINDS, Kind

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class NightEntry:
    """A night in a store.

    Attributes:
        name: of the night.
        subject: whose it is.
        split: that it is in.
        labels: of its channels; of a clip's places, empty where nothing fills one.
        records: windows or clips that were kept.
        dropped: how many were not, by reason.
        emptied: how often a channel was emptied in a record, by reason.
        more: what only one kind of store tells, ready for JSON.
    """

    name: str
    subject: str
    split: str
    labels: tuple[str, ...]
    records: int
    dropped: Mapping[str, int]
    emptied: Mapping[str, int]
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def content(self, kind: Kind) -> dict[str, Any]:
        """What stands in the index.

        Args:
            kind: of the store, which names the count of records.
        """
        own = [field.name for field in dataclasses.fields(self)][:-1]
        return {kind.many if n == "records" else n: getattr(self, n) for n in own} | {**self.more}

    @classmethod
    def of(cls, content: Mapping[str, Any], kind: Kind) -> "NightEntry":
        """The entry of what stands in the index.

        Args:
            content: as of `content`, from JSON.
            kind: of the store.
        """
        told = {**content, "records": content[kind.many], "labels": tuple(content["labels"])}
        del told[kind.many]
        names = [field.name for field in dataclasses.fields(cls)]
        own = {name: told.pop(name) for name in names if name in told}
        return cls(**own, more=told)


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of a store.

    Attributes:
        file: its name.
        records: windows or clips that it holds.
        size: bytes.
    """

    file: str
    records: int
    size: int

    def content(self, kind: Kind) -> dict[str, Any]:
        """What stands in the index of a store of this kind."""
        return {"file": self.file, kind.many: self.records, "size": self.size}


@dataclasses.dataclass(frozen=True)
class Index:
    """What is in a store.

    Attributes:
        nights: in the order of their records, split by split.
        shards: by split, in the order of their records.
        made_with: the rule, how nights were split, and by which version.
    """

    nights: tuple[NightEntry, ...]
    shards: Mapping[str, tuple[Shard, ...]]
    made_with: Mapping[str, Any]

    def of_split(self, split: str) -> tuple[NightEntry, ...]:
        """The nights of a split, in the order of their records.

        Args:
            split: its name.
        """
        return tuple(night for night in self.nights if night.split == split)


def write(folder: Path, kind: Kind, index: Index) -> None:
    """Writes the index into a store's folder, with a digest of its content.

    Args:
        folder: of the store.
        kind: what it holds.
        index: what is in it.

    Raises:
        OSError: the disk is full, for example.
    """
    content = {
        "format": FORMAT,
        "made_with": dict(index.made_with),
        "nights": [night.content(kind) for night in index.nights],
        "shards": {s: [one.content(kind) for one in all_] for s, all_ in index.shards.items()},
    }
    text = _text({**content, "sha256": _digest(content)})
    with (folder / kind.file).open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path, kind: Kind) -> Index:
    """Reads a store's index and compares it with the shards that are there.

    Args:
        folder: of the store.
        kind: what it should hold.

    Raises:
        InputError: there is no store, or one of another kind, its index is damaged, or a shard is
            absent or cut short.
    """
    content = _load(folder, kind)
    nights = tuple(NightEntry.of(night, kind) for night in content["nights"])
    shards = {
        split: tuple(Shard(one["file"], one[kind.many], one["size"]) for one in all_)
        for split, all_ in content["shards"].items()
    }
    index = Index(nights, shards, content["made_with"])
    for split, files in shards.items():
        if sum(shard.records for shard in files) != sum(n.records for n in index.of_split(split)):
            raise InputError(
                f"{folder / kind.file} counts other {kind.many} in nights and shards of {split}: "
                "pack again"
            )
        for shard in files:
            _check_size(folder / shard.file, shard.size)
    return index


def _load(folder: Path, kind: Kind) -> dict[str, Any]:
    path = folder / kind.file
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(_not_of_kind(folder, kind)) from error
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


def _not_of_kind(folder: Path, kind: Kind) -> str:
    for other in KINDS:
        if other is not kind and (folder / other.file).is_file():
            return (
                f"{folder} holds {other.many} ({other.file}), not {kind.many}: give a folder that "
                f"sleepfm-jax {kind.command} made"
            )
    return f"{folder} holds no {kind.file}: give a folder that sleepfm-jax {kind.command} made"


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
