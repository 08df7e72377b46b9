"""Results as CSV and JSON: complete or absent, empty or null where a number is not known."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError

DIGITS = 6


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows, whose columns are those of the first.

    Args:
        path: the file.
        rows: at least one; numbers that are none (NaN) become empty cells.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    try:
        with (
            replacing(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows({name: _text(value) for name, value in row.items()} for row in rows)
    except OSError as error:
        raise _no_room(path, error) from error


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Writes what was used and found beside the tables.

    Args:
        path: the file.
        content: text, numbers, and lists and mappings of these; numbers that are none become null.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        with replacing(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise _no_room(path, error) from error


def refuse_inside(output: Path, given: Path) -> None:
    """Refuses to write results among what they are made from, which a later run would read.

    Args:
        output: folder for the results.
        given: file or folder that is read.

    Raises:
        InputError: the one lies in the other.
    """
    if output.resolve().is_relative_to(given.resolve()):
        raise InputError(f"{output} lies in {given}, which is read: give another --output")


def _no_room(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path} cannot be written ({error.strerror}): free some space or choose another --output"
    )


def _plain(value: object) -> object:
    """For JSON, which knows no NaN and nothing of NumPy's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: object) -> object:
    """Numbers of NumPy's as Python's own, with six digits that count."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.{DIGITS}g}"
    return value
