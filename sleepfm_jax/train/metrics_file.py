"""`metrics.jsonl`: one JSON object a line, `{"step": 100, "train/loss": 1.25}`, in order of steps.

A resumed run cuts what a later step had written, so the file is that of an uninterrupted one.
"""

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError

log = logging.getLogger(__name__)

STEP = "step"


class MetricsFile:
    """Appends lines to a metrics file.

    A line is with the operating system when `write` returns: a killed run keeps it.

    Args:
        path: the file; its folder is made.
        after: the step that the run goes on from; later lines are cut, and one that a killed
            run left unfinished.

    Raises:
        InputError: the file cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str], after: int = 0) -> None:
        self._path = Path(path)
        try:
            _cut(self._path, after)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Appends a line; what is no number is written as null.

        Args:
            step: training steps taken.
            metrics: scalars by name.

        Raises:
            InputError: the line cannot be written.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        line = {STEP: int(step)} | {n: v if math.isfinite(v) else None for n, v in numbers.items()}
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def close(self) -> None:
        """Closes the file."""
        try:
            self._file.close()
        except OSError as error:
            raise _unwritable(self._path, error) from error


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a metrics file, in order; unreadable ones are left out with a warning.

    The last line may be unfinished: it is being written, or its run was killed.

    Raises:
        InputError: the file cannot be read, or holds no metrics.
    """
    path = Path(path)
    try:
        lines = _read(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the metrics.jsonl of a run"
        ) from error
    if not lines:
        raise InputError(f"{path}: holds no metrics; give the metrics.jsonl of a run")
    return lines


def _read(path: Path) -> list[dict[str, Any]]:
    found, odd = [], 0
    *lines, unfinished = path.read_bytes().split(b"\n")
    for text in lines:
        line = _parse(text)
        if line is None:
            odd += 1
        else:
            found.append(line)
    if odd:
        log.warning("%s: %d damaged lines are left out", path, odd)
    return found


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get(STEP), int) else None


def _cut(path: Path, after: int) -> None:
    """Leaves the whole lines of steps up to `after`."""
    kept = [line for line in _read(path) if line[STEP] <= after] if path.exists() else []
    with replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written ({error.strerror}); free some space or see that the folder "
        "can be written to, then run the same command again"
    )
