"""A cut night in a file that waits to be written into shards, and whose night it is."""

import dataclasses
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from sleepfm_jax import atomic
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.store_index import NightEntry
from sleepfm_jax.jobs.sources import Source

NO_ROOM = "no room for cut nights: "  # begins the reason of a night that the disk had no room for


@dataclasses.dataclass(frozen=True)
class NightFile:
    """Where a cut night waits: its records, and beside them its entry, written last.

    Attributes:
        stem: path without suffix.
    """

    stem: Path

    def is_complete(self) -> bool:
        """Whether the night was cut to its end."""
        return self._entry.exists()

    def write(self, records: Iterator[dict[str, Any]], entry: Callable[[], NightEntry]) -> None:
        """Writes records one by one as they come.

        Args:
            records: of the windows or clips.
            entry: asked for when the records are through.

        Raises:
            InputError: the disk is full, for example; the sentence begins with `NO_ROOM`.
        """
        try:
            with atomic.replacing(self._records) as temporary, temporary.open("wb") as file:
                for record in records:
                    pickle.dump(record, file, pickle.HIGHEST_PROTOCOL)
            with atomic.replacing(self._entry) as temporary:
                temporary.write_text(json.dumps(dataclasses.asdict(entry())), encoding="utf-8")
        except OSError as error:
            self._records.unlink(missing_ok=True)
            raise InputError(f"{NO_ROOM}{error.strerror}") from error

    def entry(self) -> NightEntry:
        """The night's line in the index."""
        content = json.loads(self._entry.read_text(encoding="utf-8"))
        return NightEntry(**{**content, "labels": tuple(content["labels"])})

    def records(self) -> Iterator[dict[str, Any]]:
        """The records, one held at a time."""
        with self._records.open("rb") as file:
            for _ in range(self.entry().records):
                yield pickle.load(file)

    def remove(self) -> None:
        """Deletes the records; the entry stays."""
        self._records.unlink()

    @property
    def _records(self) -> Path:
        return self.stem.with_suffix(".records")

    @property
    def _entry(self) -> Path:
        return self.stem.with_suffix(".json")


Task: TypeAlias = tuple[Source, NightFile]


class Known(NamedTuple):
    """What is known of a night before it is cut.

    Attributes:
        path: its file.
        name: of the night.
        subject: whose it is.
        split: that it is in.
    """

    path: Path
    name: str
    subject: str
    split: str


UNPUBLISHED = "in none of the published splits"  # why a night is not wanted


def known(source: Source, splits: Splits) -> Known | None:
    """Whose night it is; None where the published splits do not have it.

    Args:
        source: the night's file.
        splits: how nights are split.

    Raises:
        InputError: another night has its name, or its name cannot be written or has no subject.
    """
    source.refuse_rival()
    _refuse_unwritable(source.name)
    split = splits.split_of(source.name)
    if split is None:
        return None
    return Known(source.path, source.name, splits.subject_of(source.name), split)


def _refuse_unwritable(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="backslashreplace").decode()
        raise InputError(f"{shown} is no text in UTF-8: rename the file") from error
