"""A folder of checkpoints: which there are, which is the best, which are kept or put aside."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sleepfm_jax.errors import InputError
from sleepfm_jax.train.checkpoint_record import DamagedError, read

STEP = re.compile("0|[1-9][0-9]*")  # name of a finished checkpoint's folder


def steps_in(folder: Path) -> list[int]:
    """The steps that have a finished checkpoint in a folder, in order."""
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    return sorted(int(name) for name in names if STEP.fullmatch(name))


def losses_in(folder: Path, metric: str) -> dict[int, float | None]:
    """The validation loss of every checkpoint in a folder; None where it is not known."""
    found: dict[int, float | None] = {}
    for step in steps_in(folder):
        try:
            found[step] = read(folder / str(step)).loss(metric)
        except (DamagedError, InputError):
            found[step] = None  # restoring it will say why
    return found


def best_of(losses: Mapping[int, float | None]) -> int | None:
    """The step with the lowest loss, the newest of equals; None where no loss is known."""
    known = [(loss, -step) for step, loss in losses.items() if loss is not None]
    return -min(known)[1] if known else None


@dataclasses.dataclass(frozen=True)
class Keep:
    """Which checkpoints outlive the next save: the newest, and the best of all.

    Orbax's own rule keeps every checkpoint that has no metrics, and fails on metrics not a number.
    """

    newest: int
    losses: Callable[[], Mapping[int, float | None]]

    def should_preserve(self, checkpoints: Iterable[Any], *, context: object) -> Sequence[bool]:
        """One answer a checkpoint; `context` is Orbax's and not needed."""
        del context
        losses = self.losses()
        steps = [checkpoint.step for checkpoint in checkpoints]
        best = best_of({step: losses.get(step) for step in steps})
        kept = {*sorted(steps)[-self.newest :], best}
        return [step in kept for step in steps]


def set_aside(folder: Path, step: int) -> str:
    """Frees a step's number and returns the folder's new name.

    `120` becomes `damaged-120`, or `damaged-120-2` where that is taken.
    """
    target, count = folder / f"damaged-{step}", 1
    while target.exists():
        count += 1
        target = folder / f"damaged-{step}-{count}"
    (folder / str(step)).rename(target)
    return target.name
