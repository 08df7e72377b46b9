"""The one training loop, for every task: step, log, validate, save, stop when asked, go on exactly.

A work directory holds `checkpoints/`, `model/` (the best so far), metrics and their picture.
"""

import contextlib
import dataclasses
import logging
import math
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.saved_model import CHECKPOINTS, MODEL, SavedModel
from sleepfm_jax.train import curves, export, state
from sleepfm_jax.train.checkpoints import Checkpoints
from sleepfm_jax.train.clock import Clock
from sleepfm_jax.train.interruption import Interruption
from sleepfm_jax.train.loggers import METRICS, Loggers, open_loggers
from sleepfm_jax.train.mesh import put_batch
from sleepfm_jax.train.patience import THRESHOLD, Patience
from sleepfm_jax.train.settings import LoopSettings
from sleepfm_jax.train.step import train_step
from sleepfm_jax.train.tasks import Metrics, Task
from sleepfm_jax.train.validation import Validation

log = logging.getLogger(__name__)

IN_A_ROW = "skipped_in_a_row"
IN_FLIGHT = 2  # steps that devices may lag behind, so that they never wait for Python


class Batches(Protocol):
    """This process's rows of an endless sequence of batches, with a position."""

    def __next__(self) -> dict[str, np.ndarray]: ...

    def get_state(self) -> dict[str, Any]:
        """The position as JSON values."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a position."""

    def close(self) -> None:
        """Ends what reads ahead."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a run is made of.

    Attributes:
        task: what is trained.
        optimizer: gradients to updates.
        rate: the learning rate at each step, for the log.
        mesh: of the devices.
        batches: to train on.
        held_out: batches to validate on, the same at every iteration; None: no validation.
        steps: of the run.
        seed: of newborn weights and of dropout.
        chunks: parts of the batch that go through the network one after the other.
        freeze_batch_norm_at: step from which batch statistics stay as they are; −1: never.
        loop: what happens beside training.
        plateau: validations without a better loss after which the learning rate falls by
            `decay_rate`; negative: it never does.
        decay_rate: see `plateau`.
        finish: called with the work directory when all steps are taken; None: nothing is left.
        start_from: makes the models whose weights a new run begins with, by the part of the state
            that takes them; other parts are newborn.
        provenance: kept with the model that the run leaves.
    """

    task: Task
    optimizer: optax.GradientTransformation
    rate: optax.Schedule
    mesh: Mesh
    batches: Batches
    held_out: Iterable[Mapping[str, np.ndarray]] | None
    steps: int
    seed: int
    chunks: int
    freeze_batch_norm_at: int
    loop: LoopSettings
    plateau: int = -1
    decay_rate: float = 0.1
    finish: Callable[[Path], None] | None = None
    start_from: Callable[[], Mapping[str, SavedModel]] = dict
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)


def run(plan: Plan, workdir: Path) -> signal.Signals | None:
    """Trains until the last step, going on from the newest checkpoint if there is one.

    Args:
        plan: what to do.
        workdir: the run's folder.

    Returns:
        None when done; the signal, if one stopped the run. Either way all is saved.

    Raises:
        InputError: the folder or the data cannot be used, or the numbers are no longer finite.
    """
    abstract = state.abstract_state(plan.task.build, plan.optimizer, plan.mesh)
    with Checkpoints(workdir / CHECKPOINTS) as checkpoints, Interruption() as interruption:
        run = _Run(plan, workdir, abstract, checkpoints)
        wandb = plan.loop.wandb or None
        loggers = open_loggers(workdir, run.step, wandb_project=wandb, say=tqdm.write)
        with logging_redirect_tqdm(), contextlib.closing(plan.batches), loggers:
            stopped_by = run.to_the_end(loggers, interruption)
    if stopped_by is None and plan.finish is not None:
        plan.finish(workdir)
    return stopped_by


class _Run:
    """A run between its steps."""

    def __init__(
        self, plan: Plan, workdir: Path, abstract: state.TrainState, checkpoints: Checkpoints
    ) -> None:
        self._plan = plan
        self._workdir = workdir
        self._checkpoints = checkpoints
        graphs = state.graphs(plan.task.build)
        fixed = plan.task, plan.optimizer, abstract, plan.mesh, plan.chunks
        self._train = train_step(graphs.train, *fixed)
        self._train_frozen = train_step(graphs.frozen, *fixed)
        self._validation = plan.held_out and Validation(
            graphs.evaluate, plan.task, abstract, plan.mesh, plan.held_out
        )
        self._in_flight: deque[tuple[int, Metrics]] = deque()
        self._clock = Clock()
        self._best = math.inf
        self._plateau = Patience(plan.plateau, THRESHOLD)
        self._early_stop = Patience(plan.loop.stop_after or -1)
        self._stopped_early = False
        self._scale = np.float32(1)  # of the learning rate; the state has it too
        self.step = 0
        self._state = self._begin(abstract)

    def to_the_end(self, loggers: Loggers, interruption: Interruption) -> signal.Signals | None:
        """Takes the remaining steps."""
        with _bar(self._plan.steps, self.step) as bar:
            while self.step < self._plan.steps and not self._stopped_early:
                if interruption.wanted(self.step):
                    self._settle(loggers, bar)
                    self._save()
                    return interruption.signal
                self._take_step()
                self._retire(loggers, bar, IN_FLIGHT)
                bar.update()
                self._look_after(loggers, bar)
        return None

    def _begin(self, abstract: state.TrainState) -> state.TrainState:
        """The state to go on from, or a newborn one."""
        plan = self._plan
        restored = self._checkpoints.restore(abstract)
        if restored is not None:
            plan.batches.set_state(restored.position["batches"])
            best = restored.position["best_loss"]
            self._best = math.inf if best is None else best
            self._plateau.set_state(restored.position["plateau"])
            self._early_stop.set_state(restored.position["early_stop"])
            self._stopped_early = restored.position["stopped_early"]
            self._scale = np.float32(restored.state.rate_scale)
            self.step = restored.step
            log.info("%s: going on from step %d of %d", self._workdir, self.step, plan.steps)
            return restored.state
        newborn = state.create_state(plan.task.build, plan.optimizer, plan.mesh, plan.seed)
        for part, model in plan.start_from().items():
            newborn = export.start_from(newborn, model, part)
        return newborn

    def _take_step(self) -> None:
        with self._clock.waiting():
            batch = next(self._plan.batches)
        frozen = 0 <= self._plan.freeze_batch_norm_at <= self.step
        train = self._train_frozen if frozen else self._train
        self._state, metrics = train(self._state, put_batch(batch, self._plan.mesh))
        self.step += 1
        self._clock.samples += len(next(iter(batch.values()))) * jax.process_count()
        self._in_flight.append((self.step, metrics))

    def _look_after(self, loggers: Loggers, bar: tqdm) -> None:
        """Validates and saves when it is time."""
        loop, last = self._plan.loop, self.step == self._plan.steps
        validate = self._validation and (self.step % loop.validate_every == 0 or last)
        if validate or self.step % loop.checkpoint_every == 0 or last:
            self._settle(loggers, bar)
            self._save(self._validate(loggers) if validate else None)
            self._clock = Clock()

    def _retire(self, loggers: Loggers, bar: tqdm, leave: int) -> None:
        """Waits for the oldest steps on the devices, until no more than `leave` are left."""
        while len(self._in_flight) > leave:
            step, metrics = self._in_flight.popleft()
            in_a_row = int(metrics[IN_A_ROW])
            if in_a_row >= self._plan.loop.skipped_limit:
                raise InputError(
                    f"{self._workdir}: the loss or its gradient was no finite number in {in_a_row} "
                    f"steps in a row, up to step {step}: lower --config.optimizer.learning_rate, "
                    "or set --config.optimizer.clip_norm=1.0, and go on from the last checkpoint"
                )
            if step % self._plan.loop.log_every == 0:
                self._write(loggers, bar, step, metrics)

    def _settle(self, loggers: Loggers, bar: tqdm) -> None:
        self._retire(loggers, bar, leave=0)

    def _write(self, loggers: Loggers, bar: tqdm, step: int, metrics: Metrics) -> None:
        seen = {f"train/{name}": float(metrics[name]) for name in metrics if name != IN_A_ROW}
        seen["train/learning_rate"] = float(self._plan.rate(step - 1) * self._scale)
        speed = self._clock.read()
        loggers.write(step, {**seen, **speed})
        bar.set_postfix(
            loss=f"{seen['train/loss']:.3f}",
            samples_per_s=f"{speed['speed/samples_per_second']:.1f}",
            data_wait=f"{speed['speed/data_wait']:.0%}",
        )

    def _validate(self, loggers: Loggers) -> dict[str, float]:
        assert self._validation
        found = self._validation(self._state)
        loggers.write(self.step, {f"validation/{name}": value for name, value in found.items()})
        if jax.process_index() == 0:
            curves.plot(self._workdir / METRICS)
        self._lose_patience(found["loss"])
        return found

    def _lose_patience(self, loss: float) -> None:
        """After too many validations without a better loss the rate falls, or the run ends."""
        if self._plateau.runs_out(loss):
            self._scale = np.float32(self._scale * self._plan.decay_rate)
            scale = jax.device_put(self._scale, self._state.rate_scale.sharding)
            self._state = dataclasses.replace(self._state, rate_scale=scale)
            log.info("step %d: no better validation, learning rate × %g", self.step, self._scale)
        if self._early_stop.runs_out(loss):
            self._stopped_early = True
            log.info(
                "step %d: ends early, the last %d validations were not better than %.4g",
                self.step,
                self._plan.loop.stop_after + 1,
                self._early_stop.best,
            )

    def _save(self, validated: dict[str, float] | None = None) -> None:
        """A checkpoint; and the model, if it is the best so far or there has been no best yet."""
        loss = math.inf if validated is None else validated["loss"]
        loss = loss if math.isfinite(loss) else math.inf
        better = loss < self._best
        self._best = min(loss, self._best)
        position = {
            "batches": self._plan.batches.get_state(),
            "best_loss": self._best if math.isfinite(self._best) else None,
            "plateau": self._plateau.get_state(),
            "early_stop": self._early_stop.get_state(),
            "stopped_early": self._stopped_early,
        }
        if better or not math.isfinite(self._best):
            self._export(validated)  # first: a run killed in between comes by here again
        self._checkpoints.save(self.step, self._state, position, validated)

    def _export(self, validated: dict[str, float] | None) -> None:
        provenance = {**self._plan.provenance, "step": self.step, "validation": validated or {}}
        model = self._plan.task.export(self._state.params, self._state.extra, provenance)
        if jax.process_index() != 0:
            return
        if isinstance(model, SavedModel):
            saved_model.save(self._workdir / MODEL, model)
        else:
            saved_model.save_together(self._workdir / MODEL, model)


def _bar(steps: int, done: int) -> tqdm:
    hidden = not sys.stderr.isatty() or jax.process_index() != 0
    return tqdm(total=steps, initial=done, unit="step", disable=hidden)
