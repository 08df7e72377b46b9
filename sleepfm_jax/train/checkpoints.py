"""A run's checkpoints: written behind its back, the newest and the best kept, every bit checked.

A damaged one is put aside, not deleted, and the one before it taken. All processes of a run call
the same methods in the same order.
"""

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import checkpoint_arrays, checkpoint_record, fingerprint
from sleepfm_jax.train.agreement import any_fault, from_first, is_first
from sleepfm_jax.train.checkpoint_arrays import STATE, reason
from sleepfm_jax.train.checkpoint_folder import Keep, best_of, losses_in, set_aside
from sleepfm_jax.train.checkpoint_record import DamagedError

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Restored:
    """A checkpoint, read and checked.

    Attributes:
        step: training steps taken.
        state: as it was saved, laid out as asked for.
        position: where the data go on.
        metrics: of validation, if there was one at this step.
    """

    step: int
    state: Any
    position: dict[str, Any]
    metrics: dict[str, Any] | None


class Checkpoints:
    """The checkpoints in a folder, one subfolder a step; nothing else belongs there.

    Args:
        folder: made if it is not there. What a killed run left unfinished is removed.
        newest: how many of the newest are kept.
        best_by: the metric whose lowest value is the best; that checkpoint is kept as well.

    Raises:
        InputError: the folder cannot be made or read.
    """

    def __init__(
        self, folder: str | os.PathLike[str], newest: int = 2, best_by: str = "loss"
    ) -> None:
        self.folder = Path(folder).absolute()
        self._failed = False
        self._losses: dict[int, float | None] = {}
        self._agreed(lambda: self.folder.mkdir(parents=True, exist_ok=True), first_only=True)
        checkpoint_arrays.without_tracebacks()
        self._best_by = best_by
        self._agreed(lambda: self._open(newest))
        losses = losses_in(self.folder, best_by) if is_first() else {}
        self._losses = dict(from_first(list(losses.items())))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:  # alone: where one process fails, the others are not here
            self._leave()

    @property
    def steps(self) -> list[int]:
        """Steps that have a checkpoint, finished or being written, in order."""
        return sorted(map(int, self._manager.all_steps()))

    def best(self) -> int | None:
        """The step with the lowest finite validation loss, the newest of equals."""
        return best_of({step: self._losses.get(step) for step in self.steps})

    def save(
        self,
        step: int,
        state: Any,
        position: Mapping[str, Any],
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """Copies the state off the devices and begins to write it; the rest happens meanwhile.

        A step that has its checkpoint already is not written again.

        Args:
            step: training steps taken.
            state: tree of arrays.
            position: where the data go on; JSON, the same on all processes.
            metrics: of validation, if there was one at this step; JSON, the same on all processes.

        Raises:
            InputError: this save, or the one before it, could not be written.
        """
        self._finish()
        if step in self.steps:
            return
        record = checkpoint_record.describe(step, state, position, metrics)
        self._losses[step] = record.loss(self._best_by)
        items = ocp.args.Composite(
            **{
                STATE: ocp.args.PyTreeSave(fingerprint.named(state)),
                checkpoint_record.ITEM: ocp.args.JsonSave(checkpoint_record.to_json(record)),
            }
        )
        self._agreed(lambda: self._manager.save(step, args=items, force=True))

    def restore(self, abstract: Any, step: int | None = None) -> Restored | None:
        """Reads the newest checkpoint that is whole, on whatever devices `abstract` names.

        Args:
            abstract: the state's tree of `jax.ShapeDtypeStruct` with shardings.
            step: this one and no other; None: the newest that is whole.

        Returns:
            None if there is no checkpoint at all.

        Raises:
            InputError: another model or optimiser wrote it, every one is damaged (none is moved
                then), or the step asked for is not there.
        """
        self._finish()
        if step is not None and step not in self.steps:
            raise InputError(
                f"{self.folder}: has no checkpoint of step {step}, those there are: {self.steps}"
            )
        damaged: dict[int, str] = {}
        for candidate in self.steps[::-1] if step is None else [step]:
            try:
                restored = self._restore(candidate, abstract)
            except DamagedError as error:
                damaged[candidate] = str(error)
                continue
            self._set_aside(damaged, restored.step)
            return restored
        if damaged:
            raise self._all_damaged(damaged)
        return None

    def close(self) -> None:
        """Waits until everything is written.

        Raises:
            InputError: the last save could not be written.
        """
        if self._failed:  # has been said
            self._leave()
            return
        self._finish()
        self._agreed(self._manager.close)

    def _open(self, newest: int) -> None:
        options = ocp.CheckpointManagerOptions(
            preservation_policy=Keep(newest, lambda: self._losses),
            cleanup_tmp_directories=True,
            lightweight_initialize=True,  # Orbax's own metadata may be damaged
            single_host_load_and_broadcast=True,  # or listings differ between machines
        )
        handlers = {
            STATE: checkpoint_arrays.writer(),
            checkpoint_record.ITEM: ocp.JsonCheckpointHandler(filename=checkpoint_record.FILE),
        }
        self._manager = ocp.CheckpointManager(self.folder, item_handlers=handlers, options=options)

    def _leave(self) -> None:
        try:
            self._manager.close()
        except Exception as error:  # Orbax raises what it likes; the first error matters more
            if not self._failed:
                log.warning("%s: the last save failed too (%s)", self.folder, reason(error))

    def _finish(self) -> None:
        """Waits for the save before, and says on every process if it failed on one."""
        self._agreed(self._manager.wait_until_finished)

    def _agreed(self, action: Callable[[], Any], *, first_only: bool = False) -> Any:
        """What an action returns that may fail on one process; then it fails on all.

        Raises:
            InputError: the folder cannot be written to.
        """
        fault = cause = result = None
        try:
            if is_first() or not first_only:
                result = action()
        except Exception as error:  # Orbax raises what it likes: a full disk is a ValueError
            fault, cause = reason(error), error
        if fault := any_fault(fault):
            self._failed = True
            raise InputError(
                f"{self.folder}: a checkpoint cannot be written ({fault}); free some space or see "
                "that the folder can be written to, then run the same command again to go on from "
                "the checkpoint before"
            ) from cause
        return result

    def _restore(self, step: int, abstract: Any) -> Restored:
        """One checkpoint; all processes find it whole or none does."""
        record = checkpoint_record.read_together(self.folder / str(step))
        if different := checkpoint_record.difference(record, abstract):
            raise InputError(
                f"{self.folder / str(step)}: was written by another model or optimiser "
                f"({different}); use the settings it was made with, or another --workdir"
            )
        wanted = fingerprint.named(abstract)
        arrays, fault = checkpoint_arrays.restore(self.folder / str(step) / STATE, wanted)
        if fault := any_fault(fault):
            raise DamagedError(fault)
        state = jax.tree.unflatten(jax.tree.structure(abstract), [arrays[n] for n in wanted])
        if different := checkpoint_record.difference(record, state):
            raise DamagedError(f"what it restores to is another array: {different}")
        checkpoint_record.check(record, state)
        return Restored(step, state, record.position, record.metrics)

    def _set_aside(self, damaged: Mapping[int, str], used: int) -> None:
        """Frees the numbers of damaged steps, so that the run can write them again."""
        for step, fault in damaged.items():
            name = self._agreed(partial(set_aside, self.folder, step), first_only=True)
            self._losses.pop(step, None)
            if name:
                log.warning(
                    f"{self.folder}: the checkpoint of step {step} is damaged ({fault}): it was "
                    f"renamed to {name}, and that of step {used} is used"
                )
        if damaged:
            self._manager.reload()

    def _all_damaged(self, damaged: Mapping[int, str]) -> InputError:
        faults = ", ".join(f"step {step}: {fault}" for step, fault in damaged.items())
        others = [step for step in self.steps if step not in damaged]
        way_out = f"take one of {others}" if others else "start anew in another --workdir"
        return InputError(
            f"{self.folder}: damaged and no other to fall back on ({faults}); copy the folder back "
            f"from where it is whole, or {way_out}"
        )
