"""After a run: Breslow's baseline hazard of those who trained, so that risks become absolute."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from sleepfm_jax import saved_model
from sleepfm_jax.evaluate import survival
from sleepfm_jax.saved_model import MODEL, SavedModel
from sleepfm_jax.train import export, state
from sleepfm_jax.train.diagnosis import ROLE, Diagnosis
from sleepfm_jax.train.export import BACKBONE, NETWORK
from sleepfm_jax.train.validation import Validation

MONTH = 30.4375  # days between the times at which the hazard is kept
TIMES, CUMULATIVE = "baseline.times", "baseline.cumulative"


def add(
    workdir: Path,
    task: Diagnosis,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    nights: Iterable[Mapping[str, np.ndarray]],
) -> None:
    """Adds the baseline to the model that a run has left, if it has none; all processes call it.

    Args:
        workdir: of the run.
        task: that was trained.
        optimizer: with which.
        mesh: of the devices.
        nights: those that trained, once each, in batches; without dropout their log hazards are
            those that the model gives.

    Raises:
        InputError: the model cannot be read or written.
    """
    home = workdir / MODEL
    head = saved_model.load(home, ROLE)
    if TIMES in head.weights:
        return
    parts = {NETWORK: head}
    if task.backbone is not None:
        parts[BACKBONE] = saved_model.load(home, "base")
    plain = dataclasses.replace(task, residual=False, cohort=None)
    log_hazard, batch = _scores(plain, optimizer, mesh, nights, parts)
    real = batch["night"] >= 0  # the last batch is filled up
    time, event = batch["time"][real], batch["event"][real]
    months = np.arange(1, np.ceil(max(time.max(), 0) / MONTH) + 1) * MONTH
    times, cumulative = survival.baseline(log_hazard[real], time, event, months)
    arrays = {TIMES: times.astype(np.float32), CUMULATIVE: cumulative.astype(np.float32)}
    models = {ROLE: dataclasses.replace(head, weights={**head.weights, **arrays})}
    beneath = parts.get(BACKBONE, task.kept)
    if beneath is not None:
        models["base"] = beneath
    if jax.process_index() == 0:
        saved_model.save_together(home, models)


def _scores(
    task: Diagnosis,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    nights: Iterable[Mapping[str, np.ndarray]],
    parts: Mapping[str, SavedModel],
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Log hazards (N, L) by the saved weights, and what else the batches hold."""
    abstract = state.abstract_state(task.build, optimizer, mesh)
    now = state.create_state(task.build, optimizer, mesh, seed=0)
    for part, model in parts.items():
        now = export.start_from(now, model, part)
    graph = state.graphs(task.build).evaluate
    return Validation(graph, task, abstract, mesh, nights).outputs(now)
