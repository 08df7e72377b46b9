"""A small foundation model with random values in every array, compiled once for a type and shape.

Initial values would hide faults: a running mean of zero or a scale of one can be forgotten.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from sleepfm_jax.models.foundation import Embeddings, FoundationConfig, SleepFM
from sleepfm_jax.models.layers import Numerics, sinusoidal_table
from sleepfm_jax.models.tokenizer import PATCH
from sleepfm_jax.models.weights import insert, shapes

CONFIG = FoundationConfig(
    embed_dim=32, num_heads=4, num_layers=2, pooling_heads=2, feed_forward=64, max_patches=60
)


def signals(seed: int, *shape: int) -> np.ndarray:
    """(B, C, S·640) for `shape` (B, C, S), zero mean and unit variance."""
    *batch, S = shape
    return np.random.default_rng(seed).standard_normal((*batch, S * PATCH))


def blank(numerics: Numerics | None = None, config: FoundationConfig = CONFIG) -> SleepFM:
    """The model as it is born."""
    return SleepFM(config, numerics, rngs=nnx.Rngs(0))


def random_arrays(build: Callable[[], nnx.Module], seed: int = 20) -> dict[str, np.ndarray]:
    """Arrays for a module by path: kernels of unit gain, positive scales and variances."""
    draw = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes(build).items():
        kind = name.rsplit(".", 1)[-1]
        if kind == "positions":
            arrays[name] = np.asarray(sinusoidal_table(*shape))
        elif kind == "count":
            arrays[name] = np.asarray(100, np.int32)
        elif kind in ("scale", "var"):
            arrays[name] = draw.uniform(0.5, 1.5, shape)
        elif kind == "kernel":
            arrays[name] = draw.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
        else:
            arrays[name] = 0.2 * draw.standard_normal(shape)
    return arrays


@functools.cache
def weights(changed: str = "") -> dict[str, np.ndarray]:
    """The model's arrays; those of the part `changed`, if any, are other ones."""
    arrays = random_arrays(blank)
    return {
        name: 2 * array if changed and name.startswith(changed) else array
        for name, array in arrays.items()
    }


def model(dtype: str = "float64", param_dtype: str | None = None, changed: str = "") -> SleepFM:
    """The model with the random weights, as for training; float64 inside `jax.enable_x64`."""
    numerics = Numerics(dtype, param_dtype or dtype)
    return insert(lambda: blank(numerics), weights(changed))


@functools.cache
def _state(dtype: str, param_dtype: str, changed: str) -> nnx.State:
    return nnx.state(model(dtype, param_dtype, changed))


@functools.cache
def _compiled(dtype: str, param_dtype: str) -> Callable[..., Embeddings]:
    network = nnx.view(model(dtype, param_dtype), deterministic=True, use_running_average=True)
    graph = nnx.graphdef(network)
    return jax.jit(lambda state, *inputs: nnx.merge(graph, state)(*inputs))


def embed(
    dtype: str = "float64", param_dtype: str | None = None, changed: str = ""
) -> Callable[..., Embeddings]:
    """Inference: (signals, modality, patches=None) → embeddings as NumPy arrays."""
    held = param_dtype or dtype

    def call(
        signals: np.ndarray, modality: np.ndarray, patches: np.ndarray | None = None
    ) -> Embeddings:
        if patches is None:
            patches = np.full(len(signals), signals.shape[-1] // PATCH)
        # A filling beyond float32 becomes infinity there.
        with jax.enable_x64(dtype == "float64"), np.errstate(over="ignore"):
            run, state = _compiled(dtype, held), _state(dtype, held, changed)
            return Embeddings(*map(np.asarray, run(state, signals.astype(held), modality, patches)))

    return call


@functools.cache
def train_once() -> Callable[..., Any]:
    """One pass of training in float64 without dropout.

    (signals, modality, patches) → embeddings, the new batch statistics, and the gradients of a
    weighted sum of all embeddings with respect to parameters and signals.
    """
    with jax.enable_x64(True):
        graph, params, rest = nnx.split(nnx.view(model(), deterministic=True), nnx.Param, ...)

        def total(params: nnx.State, signals: jax.Array, *inputs: jax.Array) -> Any:
            network = nnx.merge(graph, params, rest, copy=True)
            out = network(signals, *inputs)
            share = jax.numpy.cos(jax.numpy.arange(out.pooled.shape[-1]))  # (E,)
            value = (out.pooled * share).sum() + (out.sequence * share[::-1]).sum()
            return value, (out, nnx.state(network, nnx.BatchStat))

        run = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))

    def call(signals: np.ndarray, modality: np.ndarray, patches: np.ndarray) -> Any:
        with jax.enable_x64(True):
            (_, (out, statistics)), gradients = run(params, signals, modality, patches)
            return jax.tree.map(np.asarray, (out, statistics, *gradients))

    return call


def distance(ours: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest expected value."""
    assert ours.shape == expected.shape
    return float(np.abs(ours - expected).max() / np.abs(expected).max())
