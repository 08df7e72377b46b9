"""A task whose network is a line with batch statistics and dropout: the loop's logic in seconds."""

import dataclasses
import functools
import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train import checkpoint_record, optimizers
from sleepfm_jax.train.loop import CHECKPOINTS, Plan
from sleepfm_jax.train.mesh import make_mesh
from sleepfm_jax.train.metrics_file import read
from sleepfm_jax.train.optimizers import OptimizerSettings
from sleepfm_jax.train.settings import LoopSettings

B, F = 4, 3  # rows, features


class Line(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(F, F, rngs=rngs)
        self.norm = nnx.BatchNorm(F, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.dropout(self.norm(self.linear(x)))


@dataclasses.dataclass(frozen=True)
class LineTask:
    """Finds its own inputs again."""

    def build(self, rngs: nnx.Rngs) -> Line:
        return Line(rngs)

    def forward(self, model: Line, batch: Mapping[str, jax.Array]) -> jax.Array:
        return model(batch["signals"])

    def objective(self, model: Any, outputs: jax.Array, batch: Any) -> tuple[jax.Array, Any]:
        del model
        return ((outputs - batch["wanted"]) ** 2).mean(), {"largest": outputs.max()}

    def nonnegative(self, path: tuple[Any, ...]) -> bool:
        del path
        return False

    def evaluate(self, outputs: np.ndarray, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        del batch
        return {"rows": len(outputs)}

    def export(self, params: Any, extra: Any, provenance: dict[str, Any]) -> SavedModel:
        leaves = {
            jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path([params, extra["norm"]])
        }
        return SavedModel(FoundationConfig(), leaves, provenance)


class Batches:
    """Random rows by number; something may happen when a batch is asked for.

    Args:
        happens: what to call before the batch of a number is given.
        bad: numbers of batches that hold NaN.
    """

    def __init__(
        self, happens: Mapping[int, Callable[[], object]] | None = None, bad: Any = ()
    ) -> None:
        self.number, self.closed = 0, False
        self._happens, self._bad = happens or {}, bad

    def __next__(self) -> dict[str, np.ndarray]:
        self._happens.get(self.number, lambda: None)()
        batch = rows(self.number)
        if self.number in self._bad:
            batch["signals"][0, 0] = np.nan
        self.number += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        return {"number": self.number}

    def set_state(self, state: dict[str, Any]) -> None:
        self.number = state["number"]

    def close(self) -> None:
        self.closed = True


def rows(seed: int) -> dict[str, np.ndarray]:
    signals = np.random.default_rng(seed).standard_normal((B, F)).astype(np.float32)
    return {"signals": signals, "wanted": signals**2, "patches": np.full(B, 60, np.int32)}


def sigterm_before(*numbers: int) -> Batches:
    """Batches that stop the run after the step of this number (from 0) has been taken."""
    return Batches({n: lambda: signal.raise_signal(signal.SIGTERM) for n in numbers})


def plan(
    batches: Any = None,
    held_out: bool = True,
    steps: int = 12,
    freeze: int = -1,
    chunks: int = 1,
    **loop: Any,
) -> Plan:
    """A run in which everything happens at another step."""
    settings = OptimizerSettings("adamw", 1e-2, "constant")
    rate = optimizers.schedule(settings, steps, 5)
    return Plan(
        task=LineTask(),
        optimizer=_optimizer(),
        rate=rate,
        mesh=one_device(),
        batches=batches or Batches(),
        held_out=[rows(1000), rows(1001)] if held_out else None,
        steps=steps,
        seed=1,
        chunks=chunks,
        freeze_batch_norm_at=freeze,
        loop=LoopSettings(
            **{"log_every": 2, "validate_every": 5, "checkpoint_every": 3, **loop}  # type: ignore[arg-type]
        ),
    )


@functools.cache
def _optimizer() -> Any:
    settings = OptimizerSettings("adamw", 1e-2, "constant")
    return optimizers.make(settings, optimizers.schedule(settings, 1, 1), LineTask().nonnegative)


@functools.cache
def one_device() -> Any:
    return make_mesh(devices=jax.devices()[:1])


def numbers(workdir: Path) -> list[dict[str, Any]]:
    """All metrics but those of the clock."""
    lines = read(workdir / "metrics.jsonl")
    return [{n: v for n, v in line.items() if not n.startswith("speed/")} for line in lines]


def hashes(workdir: Path, step: int) -> dict[str, str]:
    """Of every array of a checkpoint: equal where every bit is."""
    return checkpoint_record.read(workdir / CHECKPOINTS / str(step)).hashes


def provenance(workdir: Path) -> dict[str, Any]:
    """Of the model that a run has left."""
    return json.loads((workdir / "model" / "config.json").read_text())["provenance"]
