"""A run's plan from its settings: what all tasks share."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.batch_streams import Endless
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train import optimizers
from sleepfm_jax.train.export import NETWORK
from sleepfm_jax.train.loop import Plan
from sleepfm_jax.train.settings import LoopSettings, Run
from sleepfm_jax.train.tasks import Task

log = logging.getLogger(__name__)


def plan_of(
    settings: Run,
    task: Task,
    mesh: jax.sharding.Mesh,
    stream: Endless,
    held_out: Iterable[Mapping[str, np.ndarray]] | None,
    decays: Mapping[optimizers.Rule, float] | None = None,
    **more: Any,
) -> Plan:
    """The plan of a run: what its settings say, around a task and its data.

    Args:
        settings: of the run.
        task: what is trained.
        mesh: of the devices.
        stream: batches to train on.
        held_out: batches to validate on; None: no validation.
        decays: as of `optimizers.make`.
        more: of the plan's `start_from` and `provenance`.
    """
    epoch = stream.batches_per_epoch
    rate = optimizers.schedule(settings.optimizer, settings.steps_of(epoch), epoch)
    optimizer = optimizers.make(settings.optimizer, rate, task.nonnegative, decays)
    return Plan(
        task=task,
        optimizer=optimizer,
        rate=rate,
        mesh=mesh,
        batches=stream,
        held_out=held_out,
        steps=settings.steps_of(epoch),
        seed=settings.seed,
        chunks=settings.chunks,
        freeze_batch_norm_at=settings.freeze_batch_norm_at,
        loop=_every_epoch(settings.loop, epoch),
        plateau=optimizers.plateau(settings.optimizer),
        decay_rate=settings.optimizer.decay_rate,
        **more,
    )


def named_start(settings: Run, role: str | None = None) -> Callable[[], Mapping[str, SavedModel]]:
    """What a run starts from: the model that its settings name, read now, or nothing.

    Args:
        settings: of the run.
        role: what the model must be for, as in `saved_model.load`.

    Raises:
        InputError: the model cannot be read.
    """
    init = {NETWORK: saved_model.load(settings.init, role)} if settings.init else {}
    return lambda: init


def _every_epoch(loop: LoopSettings, steps: int) -> LoopSettings:
    """With the number of steps for what happens once an epoch."""
    return dataclasses.replace(
        loop,
        validate_every=loop.validate_every or steps,
        checkpoint_every=loop.checkpoint_every or steps,
    )


def say(samples: int, name: str, settings: Run, stream: Endless, mesh: jax.sharding.Mesh) -> None:
    """Tells how much there is to do."""
    log.info(
        "%d %s to train on, %d steps of %d on %d devices (mesh %s)",
        samples,
        name,
        settings.steps_of(stream.batches_per_epoch),
        settings.batches.batch_size,  # type: ignore[attr-defined]
        mesh.size,
        " × ".join(f"{name} {size}" for name, size in mesh.shape.items()),
    )


def check_batch(batch_size: int, chunks: int, mesh: jax.sharding.Mesh) -> None:
    """Refuses a batch that cannot be split.

    Raises:
        InputError: it does not divide by the devices and chunks.
    """
    ways = mesh.shape["data"] * mesh.shape["fsdp"] * chunks
    if batch_size % ways:
        raise InputError(
            f"a batch of {batch_size} does not divide into {ways} parts (data × "
            "fsdp × chunks): set --config.batches.batch_size to a multiple"
        )
