"""What stands beside a checkpoint's arrays: their hashes, the data's position, the metrics.

It is JSON under a checksum of its own, so whatever differs from it is damage, or another model.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import fingerprint
from sleepfm_jax.train.agreement import from_first, is_first

FORMAT = 1
ITEM = "record"  # folder within a step
FILE = "record.json"


class DamagedError(Exception):
    """A checkpoint that cannot be used; the message is what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Record:
    """The description of one checkpoint.

    Attributes:
        step: training steps taken.
        arrays: type and shape of every array by dotted path, as `fingerprint.signature` has them.
        hashes: of every array, as `fingerprint.hashes` has them.
        position: where the data go on; JSON.
        metrics: of validation, if there was one at this step; JSON.
    """

    step: int
    arrays: dict[str, str]
    hashes: dict[str, str]
    position: dict[str, Any]
    metrics: dict[str, Any] | None

    def loss(self, name: str) -> float | None:
        """The metric of that name, if it is there and finite."""
        value = (self.metrics or {}).get(name)
        return value if isinstance(value, int | float) and math.isfinite(value) else None


def describe(
    step: int, state: Any, position: Mapping[str, Any], metrics: Mapping[str, Any] | None
) -> Record:
    """The record of a state; where arrays lie on several processes, all of them call this.

    Raises:
        TypeError: position or metrics are not JSON.
    """
    extra = json.loads(json.dumps([position, metrics]))
    return Record(step, fingerprint.signature(state), fingerprint.hashes(state), *extra)


def to_json(record: Record) -> dict[str, Any]:
    """What is written."""
    content = {"format": FORMAT, **dataclasses.asdict(record)}
    return {"sha256": _checksum(content), "content": content}


def read(step_folder: Path) -> Record:
    """Reads the record of a checkpoint.

    Raises:
        DamagedError: it is missing, cannot be read or was changed.
        InputError: a newer version wrote it.
    """
    try:
        found = json.loads((step_folder / ITEM / FILE).read_bytes())
        content, checksum = found["content"], found["sha256"]
        if _checksum(content) != checksum:
            raise DamagedError(f"{FILE} has been changed")
        written = content.pop("format")
        if written != FORMAT:
            raise InputError(
                f"{step_folder}: has checkpoint format {written}, this version reads {FORMAT}; "
                "update sleepfm-jax"
            )
        return Record(**content)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DamagedError(f"{FILE} is missing") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{FILE} cannot be read ({type(error).__name__})") from error


def read_together(step_folder: Path) -> Record:
    """The record as the first process reads it; all processes call this and get the same.

    Raises:
        DamagedError: as `read` does.
        InputError: as `read` does.
    """
    sent: dict[str, Any] = {}
    if is_first():
        try:
            sent["record"] = dataclasses.asdict(read(step_folder))
        except DamagedError as error:
            sent["damaged"] = str(error)
        except InputError as error:
            sent["refused"] = str(error)
    sent = from_first(sent)
    if "damaged" in sent:
        raise DamagedError(sent["damaged"])
    if "refused" in sent:
        raise InputError(sent["refused"])
    return Record(**sent["record"])


def difference(record: Record, abstract: Any) -> str | None:
    """How the checkpoint's arrays differ from those that a run asks for, if they do."""
    wanted = fingerprint.signature(abstract)
    names = sorted(
        {*wanted, *record.arrays}, key=lambda name: (not name.startswith("params"), name)
    )
    odd = [name for name in names if wanted.get(name) != record.arrays.get(name)]
    if not odd:
        return None
    name = odd[0]
    more = f" and {len(odd) - 1} more arrays differ" if len(odd) > 1 else ""
    return (
        f"{name} is {record.arrays.get(name, 'absent')} there and "
        f"{wanted.get(name, 'absent')} here{more}"
    )


def check(record: Record, arrays: Any) -> None:
    """Compares restored arrays with the hashes; all processes call this and decide alike.

    Args:
        record: of the checkpoint.
        arrays: a tree of restored arrays, or a part of it under the same paths.

    Raises:
        DamagedError: some bit differs.
    """
    for name, value in fingerprint.hashes(arrays).items():
        if record.hashes.get(name) != value:
            raise DamagedError(f"the content of {name} has changed since it was written")


def _checksum(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
