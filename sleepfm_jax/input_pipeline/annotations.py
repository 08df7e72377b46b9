"""What people marked in a night: the hypnogram, a stage for each stretch of time (spec §4)."""

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError

STAGES = ("Wake", "N1", "N2", "N3", "REM")  # by StageNumber, 0 to 4
UNSCORED = -1


@dataclasses.dataclass(frozen=True)
class Hypnogram:
    """Scored stretches of a night, in order.

    Attributes:
        starts: (K,) seconds from the recording's start.
        stops: (K,) seconds, each after its start.
        stages: (K,) int8, 0 Wake, 1 N1, 2 N2, 3 N3, 4 REM, −1 unscored.
    """

    starts: np.ndarray
    stops: np.ndarray
    stages: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """The stage at each time.

        Args:
            times: (T,) seconds from the recording's start.

        Returns:
            (T,) int8; −1 where nothing is scored.
        """
        row = np.searchsorted(self.starts, times, side="right") - 1
        inside = (row >= 0) & (times < self.stops[np.maximum(row, 0)])
        return np.where(inside, self.stages[np.maximum(row, 0)], UNSCORED).astype(np.int8)


def read_staging_csv(path: str | os.PathLike[str]) -> Hypnogram:
    """Reads the published staging format: Start, Stop, StageName, StageNumber; seconds.

    Raises:
        InputError: the file cannot be read, lacks a column, or holds no, overlapping or unknown
            stages.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = [
                (float(row["Start"]), float(row["Stop"]), int(row["StageNumber"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a staging CSV") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no staging CSV ({type(error).__name__}: {error}): it needs the columns "
            "Start, Stop and StageNumber, all numbers"
        ) from error
    rows.sort()
    starts, stops, stages = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    )
    known = np.isin(stages, range(UNSCORED, len(STAGES)))
    if not rows or not known.all() or (stops <= starts).any() or (starts[1:] < stops[:-1]).any():
        raise InputError(
            f"{path} holds no stages, unknown stage numbers or overlapping times: stages are "
            f"{UNSCORED} to {len(STAGES) - 1}, and each row must end after it starts and before "
            "the next"
        )
    return Hypnogram(starts, stops, stages.astype(np.int8))
