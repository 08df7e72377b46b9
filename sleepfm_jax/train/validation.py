"""Held-out windows through the network as it is at inference, and the numbers of the task."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from sleepfm_jax.train.mesh import put_batch
from sleepfm_jax.train.state import TrainState, model_of
from sleepfm_jax.train.step import forward_step
from sleepfm_jax.train.tasks import Batch, Metrics, Task

LARGE = {"signals", "clips", "embeddings"}  # not gathered, and not needed further on


class Validation:
    """Evaluates states on the same windows again and again; all processes call it together.

    Args:
        graph: the model as at inference.
        task: what is trained.
        abstract: shapes and shardings of the state.
        mesh: where batches are split.
        held_out: this process's rows of the batches, anew at each iteration.
    """

    def __init__(
        self,
        graph: nnx.GraphDef,
        task: Task,
        abstract: TrainState,
        mesh: Mesh,
        held_out: Iterable[Mapping[str, np.ndarray]],
    ) -> None:
        self._task = task
        self._mesh = mesh
        self._held_out = held_out
        self._forward = forward_step(graph, task, abstract, mesh)
        self._whole = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))

        def objective(state: TrainState, outputs: jax.Array, batch: Batch) -> Metrics:
            model = model_of(graph, state.params, state.extra)
            loss, metrics = task.objective(model, outputs, batch)
            return {"loss": loss, **metrics}

        self._objective: Callable[..., Metrics] = jax.jit(objective)

    def __call__(self, state: TrainState) -> dict[str, float]:
        """The loss over all held-out windows at once, and what the task evaluates."""
        outputs, rest = self.outputs(state)
        found = self._objective(state, outputs, rest)
        return {
            **{name: float(value) for name, value in found.items()},
            **self._task.evaluate(outputs, rest),
        }

    def outputs(self, state: TrainState) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Outputs (N, …) of the network, and the batches' other entries, of all processes."""
        outputs: list[np.ndarray] = []
        entries: dict[str, list[np.ndarray]] = {}
        for batch in self._held_out:
            placed = put_batch(batch, self._mesh)
            outputs.append(np.asarray(self._forward(state, placed)))
            small: Any = {name: x for name, x in placed.items() if name not in LARGE}
            for name, rows in self._whole(small).items():
                entries.setdefault(name, []).append(np.asarray(rows))
        joined = {name: np.concatenate(rows) for name, rows in entries.items()}
        return np.concatenate(outputs), joined
