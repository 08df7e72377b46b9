"""A run's weights out of its checkpoints, for export: the optimiser need not be known.

Nothing is moved or written, so the run may still be going on.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import checkpoint_arrays, checkpoint_record
from sleepfm_jax.train.checkpoint_arrays import STATE
from sleepfm_jax.train.checkpoint_folder import best_of, losses_in, steps_in
from sleepfm_jax.train.checkpoint_record import DamagedError, Record

PARTS = ("params", "extra")


@dataclasses.dataclass(frozen=True)
class Weights:
    """What a model needs of a checkpoint.

    Attributes:
        step: training steps taken.
        params: trained arrays by dotted path.
        extra: batch statistics, tables and random streams (their data) by dotted path.
        metrics: of validation, if there was one at this step.
    """

    step: int
    params: dict[str, np.ndarray]
    extra: dict[str, np.ndarray]
    metrics: dict[str, Any] | None


def weights(
    folder: str | os.PathLike[str], step: int | None = None, best_by: str = "loss"
) -> Weights:
    """Reads parameters and batch statistics onto the host and checks every bit.

    Args:
        folder: of a run's checkpoints.
        step: which; None: the best by validation loss, the newest where no loss is known.
        best_by: the metric whose lowest value is the best.

    Raises:
        InputError: there is no such checkpoint, or it is damaged.
    """
    folder = Path(folder).absolute()
    checkpoint_arrays.without_tracebacks()
    step = _choose(folder, best_by) if step is None else step
    try:
        record = checkpoint_record.read(folder / str(step))
        arrays = _read(folder / str(step) / STATE, record)
        checkpoint_record.check(record, arrays)
    except DamagedError as error:
        others = [other for other in steps_in(folder) if other != step]
        raise InputError(
            f"{folder / str(step)}: this checkpoint cannot be used ({error}); choose another step "
            f"({', '.join(map(str, others)) or 'there is none'}) or copy it again"
        ) from error
    params, extra = (_below(part, arrays) for part in PARTS)
    return Weights(step, params, extra, record.metrics)


def _choose(folder: Path, best_by: str) -> int:
    try:
        losses = losses_in(folder, best_by)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); give the folder of a run's checkpoints"
        ) from error
    if not losses:
        raise InputError(
            f"{folder}: holds no checkpoint; give the folder of a run that has written one"
        )
    best = best_of(losses)
    return max(losses) if best is None else best


def _read(folder: Path, record: Record) -> dict[str, np.ndarray]:
    """The arrays of the model alone, by dotted path."""
    names = [name for name in record.arrays if name.startswith(tuple(f"{p}." for p in PARTS))]
    arrays, fault = checkpoint_arrays.restore_on_host(folder, names)
    if fault:
        raise DamagedError(fault)
    return arrays


def _below(part: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(f"{part}."): array
        for name, array in arrays.items()
        if name.startswith(f"{part}.")
    }
