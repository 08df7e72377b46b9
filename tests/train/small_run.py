"""A small pretraining on any mesh: a task, made-up batches, and the state after some steps."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.train import optimizers, state, step
from sleepfm_jax.train.mesh import make_mesh, put_batch
from sleepfm_jax.train.optimizers import OptimizerSettings
from sleepfm_jax.train.pretraining import Pretraining

SIZE = FoundationConfig(
    embed_dim=32,
    num_heads=4,
    num_layers=1,
    pooling_heads=2,
    feed_forward=64,
    dropout=0.1,
    max_patches=4,
)
ADAM = OptimizerSettings("adamw", 1e-3, "constant", weight_decay=0.01, clip_norm=1.0)
B, C, S = 8, 6, 2


def task(dtype: str = "float64", **changed: Any) -> Pretraining:
    return Pretraining(dataclasses.replace(SIZE, **changed), Numerics(dtype, dtype))


def batch(number: int, dtype: str = "float64") -> dict[str, np.ndarray]:
    """Windows in which a common tone is to be found, some modalities and patches missing."""
    draw = np.random.default_rng(number)
    tone = draw.uniform(0.01, 0.5, (B, 1, 1))
    signals = np.sin(tone * np.arange(S * 640)) + draw.standard_normal((B, C, S * 640))
    modality = np.tile(np.array([0, 0, 1, 2, 3, -1], np.int8), (B, 1))
    modality[::5, 3] = -1
    patches = np.full(B, S, np.int32)
    patches[3] = 1
    night = np.arange(B, dtype=np.int32)
    return {
        "signals": signals.astype(dtype),
        "modality": modality,
        "patches": patches,
        "night": night,
    }


class Run:
    """A task with its optimiser on a mesh, ready to step; float64 inside `jax.enable_x64`."""

    def __init__(
        self,
        task: Pretraining,
        mesh: Mesh,
        settings: OptimizerSettings = ADAM,
        chunks: int = 1,
        frozen: bool = False,
    ) -> None:
        self.task, self.mesh = task, mesh
        rate = optimizers.schedule(settings, 100, 10)
        self.optimizer = optimizers.make(settings, rate, task.nonnegative)
        self.abstract = state.abstract_state(task.build, self.optimizer, mesh)
        graphs = state.graphs(task.build)
        self.graph = graphs.frozen if frozen else graphs.train
        self.step = step.train_step(self.graph, task, self.optimizer, self.abstract, mesh, chunks)

    def born(self, seed: int = 0) -> state.TrainState:
        return state.create_state(self.task.build, self.optimizer, self.mesh, seed)

    def steps(
        self, now: state.TrainState, batches: list[dict[str, np.ndarray]]
    ) -> tuple[state.TrainState, list[dict[str, np.ndarray]]]:
        seen = []
        for one in batches:
            now, metrics = self.step(now, put_batch(one, self.mesh))
            seen.append(jax.tree.map(np.asarray, metrics))
        return now, seen


def one_device() -> Mesh:
    return make_mesh(devices=jax.devices()[:1])


@functools.cache
def single(dtype: str, chunks: int = 1, frozen: bool = False, **changed: Any) -> Run:
    return Run(task(dtype, **changed), one_device(), chunks=chunks, frozen=frozen)


def arrays(now: Any) -> dict[str, np.ndarray]:
    """Every array of a state by name, keys as their words."""

    def plain(leaf: jax.Array) -> np.ndarray:
        keys = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if keys else leaf)

    return {
        jax.tree_util.keystr(path): plain(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(now)
    }


def compilations(work: Callable[[], Any]) -> int:
    """How many programs are made for XLA while `work` runs."""
    count = 0

    def hear(event: str, _: float, **__: Any) -> None:
        nonlocal count
        count += event.endswith("jaxpr_to_mlir_module_duration")  # also of programs kept on disk

    jax.monitoring.register_event_duration_secs_listener(hear)
    try:
        work()
    finally:
        jax.monitoring.unregister_event_duration_listener(hear)
    return count
