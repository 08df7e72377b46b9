"""The networks of the ICML 2024 system against the published ones, evaluated and trained."""

import functools
import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from conversion import effnet, weights
from conversion.checkpoints import TOWERS
from conversion.models import reference_model
from sleepfm_jax import losses
from sleepfm_jax.models.effnet import CLIP, EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.kinds import network_of
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import shapes
from tests import golden
from tests.data import recipe

GOLDEN = np.load(golden.DATA / "effnet.npz")
KEYS = json.loads((golden.DATA / "effnet_keys.json").read_text())  # of the ekg tower
FLOAT64_BOUND = 1e-12
FLOAT32_BOUND = 4.0  # times PyTorch's own float32 error
TRAJECTORY_BOUND = 1e-9
CONFIG = EffNetConfig()
BATCH, STEPS = 4, 3
OPTIONS = {"xla_cpu_use_fusion_emitters": False}  # compiled in a third of the time
WIDEST = max(CONFIG.channels.values())
ONE = SupervisedEffNetConfig(WIDEST, CONFIG.embed_dim, dropout=0.0)  # of all four towers


def is_norm(key: str) -> bool:
    *_, layer, _ = key.split(".")
    return layer in ("b0", "b1", "bn")


@functools.cache
def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    return recipe.weight(golden.SEED, key, shape, is_norm(key))


def state_dict(channels: int, outputs: int = 512, dtype: str = "float64") -> dict[str, np.ndarray]:
    """A tower's golden weights."""
    other = {
        "stage1.weight": (32, channels, 3),
        "fc.weight": (outputs, 1280),
        "fc.bias": (outputs,),
    }
    entries = {key: weight(key, tuple(other.get(key, shape))) for key, shape in KEYS.items()}
    return {k: v.astype(dtype) if v.dtype == np.float64 else v for k, v in entries.items()}


class Towers(NamedTuple):
    """The published networks side by side, (4, …) each array: one is compiled for all.

    A channel of zeros changes no number, and its kernel gets no gradient; so does an output that is
    not looked at.

    Attributes:
        graph: of one tower, without dropout.
        params: of all.
        statistics: of all, batch norm's; random streams beside them are not drawn from.
    """

    graph: nnx.GraphDef
    params: nnx.State
    statistics: nnx.State

    def run(self, params: Any, statistics: Any, x: jax.Array, evaluate: bool = False) -> Any:
        """Clips (4, B, 5, T) to outputs (4, B, 512) and new statistics; of fewer towers alike."""

        def tower(params: Any, statistics: Any, x: jax.Array) -> Any:
            network = nnx.merge(self.graph, params, statistics, copy=True)
            out = nnx.view(network, use_running_average=evaluate)(x)
            return out, nnx.state(network, nnx.Not(nnx.Param))

        return jax.vmap(tower)(params, statistics, x)


@functools.cache
def arrays_of_towers() -> tuple[dict[str, np.ndarray], ...]:
    """The golden weights by Flax path, all towers as wide as the widest."""
    every = [state_dict(channels) for channels in CONFIG.channels.values()]
    every.append(state_dict(5, 5))
    for entries in every:
        entries["stage1.weight"] = padded(entries["stage1.weight"], WIDEST, axis=1)
        for key in ("fc.weight", "fc.bias"):
            entries[key] = padded(entries[key], CONFIG.embed_dim, axis=0)
    sizes = shapes(lambda: network_of(ONE, rngs=nnx.Rngs(0)))
    table = effnet.supervised_effnet(ONE)
    return tuple(weights.to_flax(entries, table, sizes) for entries in every)


@functools.cache
def towers(dtype: str) -> Towers:
    """The golden towers; for "float64" call it inside `jax.enable_x64`."""
    network = nnx.eval_shape(lambda: network_of(ONE, Numerics(dtype, dtype), rngs=nnx.Rngs(0)))
    view = nnx.view(network, deterministic=True)
    graph, params, statistics = nnx.split(view, nnx.Param, ...)
    arrays = arrays_of_towers()

    def stacked(state: nnx.State) -> nnx.State:
        return nnx.from_flat_state(
            (path, variable.replace(stack(path, variable)))
            for path, variable in nnx.to_flat_state(state)
        )

    def stack(path: tuple[Any, ...], variable: nnx.Variable) -> np.ndarray:
        name = ".".join(map(str, path))
        if name not in arrays[0]:  # random streams, which nothing draws from
            return np.zeros(len(arrays))
        return np.stack([each[name] for each in arrays]).astype(variable.dtype)

    return Towers(graph, stacked(params), stacked(statistics))


def padded(array: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Filled up with zeros to a size along an axis."""
    missing = [(0, 0)] * array.ndim
    missing[axis] = (0, size - array.shape[axis])
    return np.pad(array, missing)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_evaluation_equals_the_published_networks(dtype: str) -> None:
    given = {**CONFIG.channels, "supervised": 5}
    parts = [golden.signal(f"effnet/{tag}", 3, C, CLIP) for tag, C in given.items()]
    x = np.stack([padded(part, WIDEST, axis=1) for part in parts]).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        network = towers(dtype)
        run = jax.jit(
            lambda *state: network.run(*state, evaluate=True)[0], compiler_options=OPTIONS
        )
        found = np.asarray(run(network.params, network.statistics, x))
    assert found.dtype == dtype
    for tag, out in zip(given, found, strict=True):
        error = golden.error(out[:, : GOLDEN[tag].shape[1]], GOLDEN[tag])
        own = golden.PYTORCH_ERROR[f"effnet/{tag}"]
        bound = FLOAT64_BOUND if dtype == "float64" else FLOAT32_BOUND * own
        print(f"{tag}: {error:.1e} (bound {bound:.1e})")
        assert error <= bound, tag


def test_the_reference_equals_the_published_network() -> None:
    """In float32, whose depthwise convolutions are a hundred times as fast in PyTorch."""
    entries = state_dict(5, 5, "float32")
    network = reference_model(SupervisedEffNetConfig())
    network.load_state_dict({key: torch.from_numpy(value) for key, value in entries.items()})
    clips = golden.signal("effnet/supervised", 3, 5, CLIP).astype("float32")
    with torch.no_grad():
        out = network.eval()(torch.from_numpy(clips)).numpy()
    error = golden.error(out, GOLDEN["supervised"])
    assert error <= 2 * golden.PYTORCH_ERROR["effnet/supervised"]


def test_training_follows_the_published_run() -> None:
    """Three steps, leave-one-out, momentum 0.9: every gradient shows in the next step's loss."""

    def total(trained: Any, statistics: Any, x: jax.Array) -> Any:
        temperature, params = trained
        embeddings, statistics = network.run(params, statistics, x)  # (M, B, E)
        present = jnp.ones((BATCH, len(TOWERS)), bool)
        out = losses.leave_one_out(embeddings.swapaxes(0, 1), present, temperature)
        return out.loss, statistics

    def step(trained: Any, momentum: Any, statistics: Any, x: jax.Array) -> Any:
        gradients = jax.value_and_grad(total, has_aux=True)
        (loss, statistics), gradient = gradients(trained, statistics, x)
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, gradient)
        temperature, params = jax.tree.map(lambda p, m: p - 1e-3 * m, trained, momentum)
        return (jnp.maximum(temperature, 0), params), momentum, statistics, loss

    with jax.enable_x64(True):
        network = towers("float64")
        state = (network.params, network.statistics)
        params, statistics = jax.tree.map(lambda array: array[: len(TOWERS)], state)
        trained = (np.zeros(()), params)
        momentum = jax.tree.map(np.zeros_like, trained)
        run = jax.jit(step, compiler_options=OPTIONS)
        found = []
        for number in range(STEPS):
            parts = [
                padded(golden.signal(f"effnet_train/{number}/{m}", BATCH, C, CLIP), WIDEST, 1)
                for m, C in CONFIG.channels.items()
            ]
            trained, momentum, statistics, loss = run(
                trained, momentum, statistics, np.stack(parts)
            )
            found.append(float(loss) * BATCH)
    off = np.abs(np.array(found) / GOLDEN["train_losses"] - 1).max()
    print(f"losses off by {off:.1e} (relative)")
    assert off < TRAJECTORY_BOUND
    assert float(trained[0]) == pytest.approx(float(GOLDEN["train_temperature"]), abs=1e-9)
