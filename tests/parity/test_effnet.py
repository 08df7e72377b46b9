"""The networks of the ICML 2024 system against the published ones, evaluated and trained."""

import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from conversion import effnet, weights
from conversion.checkpoints import TOWERS, Checkpoint
from conversion.models import import_checkpoint, load_reference
from sleepfm_jax import losses
from sleepfm_jax.models.effnet import CLIP, EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.kinds import network_of
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import insert, shapes
from sleepfm_jax.saved_model import SavedModel, build
from tests import golden
from tests.data import recipe

GOLDEN = np.load(golden.DATA / "effnet.npz")
KEYS = json.loads((golden.DATA / "effnet_keys.json").read_text())  # of the ekg tower
FLOAT64_BOUND = 1e-12
FLOAT32_BOUND = 4.0  # times PyTorch's own float32 error
TRAJECTORY_BOUND = 1e-9
CONFIG, SUPERVISED = EffNetConfig(), SupervisedEffNetConfig()
BATCH, STEPS = 4, 3
WIDEST = max(CONFIG.channels.values())


def is_norm(key: str) -> bool:
    *_, layer, _ = key.split(".")
    return layer in ("b0", "b1", "bn")


def state_dict(channels: int, outputs: int = 512, dtype: str = "float64") -> dict[str, np.ndarray]:
    """A tower's golden weights."""
    other = {
        "stage1.weight": (32, channels, 3),
        "fc.weight": (outputs, 1280),
        "fc.bias": (outputs,),
    }
    entries = {
        key: recipe.weight(golden.SEED, key, tuple(other.get(key, shape)), is_norm(key))
        for key, shape in KEYS.items()
    }
    return {k: v.astype(dtype) if v.dtype == np.float64 else v for k, v in entries.items()}


def saved(kind: str, dtype: str) -> SavedModel:
    """The three towers ("effnet") or the supervised one with the golden weights."""
    if kind == "supervised":
        return import_checkpoint(Checkpoint(state_dict(5, 5, dtype), None, {}), SUPERVISED, {})
    arrays = {
        f"{name}.{key}": value
        for name, channels in CONFIG.channels.items()
        for key, value in state_dict(channels, dtype=dtype).items()
    }
    checkpoint = Checkpoint(arrays, np.zeros((), dtype), {}, towers=TOWERS)
    return import_checkpoint(checkpoint, CONFIG, {})


def clips(kind: str) -> np.ndarray:
    """A golden input, float64; of the three towers side by side."""
    if kind == "supervised":
        return golden.signal("effnet/supervised", 3, 5, CLIP)
    parts = CONFIG.channels.items()
    return np.concatenate([golden.signal(f"effnet/{m}", 3, C, CLIP) for m, C in parts], axis=1)


def by_tag(kind: str, out: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs under the names of the golden ones."""
    if kind == "supervised":
        return {kind: out}
    return dict(zip(TOWERS, out.swapaxes(0, 1), strict=True))


@pytest.mark.parametrize("kind", ["effnet", "supervised"])
def test_evaluation_in_float32_equals_the_published_networks(kind: str) -> None:
    graph, weights = nnx.split(build(saved(kind, "float32")))
    out = jax.jit(lambda w, x: nnx.merge(graph, w)(x))(weights, clips(kind).astype("float32"))
    for tag, embeddings in by_tag(kind, np.asarray(out)).items():
        error = golden.error(embeddings, GOLDEN[tag])
        bound = FLOAT32_BOUND * golden.PYTORCH_ERROR[f"effnet/{tag}"]
        print(f"{tag}: {error:.1e} (bound {bound:.1e})")
        assert error <= bound, tag


def test_the_reference_equals_the_published_network() -> None:
    """In float32, whose depthwise convolutions are a hundred times as fast in PyTorch."""
    with torch.no_grad():
        network = load_reference(saved("supervised", "float32"))
        out = network(torch.from_numpy(clips("supervised").astype("float32"))).numpy()
    error = golden.error(out, GOLDEN["supervised"])
    assert error <= 2 * golden.PYTORCH_ERROR["effnet/supervised"]


class Towers(NamedTuple):
    """The published networks side by side, (4, …) each array, in float64: one is compiled for all.

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


@pytest.fixture(scope="module")
def towers() -> Towers:
    config = SupervisedEffNetConfig(WIDEST, CONFIG.embed_dim, dropout=0.0)
    table = effnet.supervised_effnet(config)

    def build() -> nnx.Module:
        return network_of(config, Numerics("float64", "float64"), rngs=nnx.Rngs(0))

    with jax.enable_x64(True):
        every = [state_dict(channels) for channels in CONFIG.channels.values()]
        every.append(state_dict(5, 5))
        for entries in every:
            entries["stage1.weight"] = padded(entries["stage1.weight"], WIDEST, axis=1)
            for key in ("fc.weight", "fc.bias"):
                entries[key] = padded(entries[key], CONFIG.embed_dim, axis=0)
        sizes = shapes(build)
        arrays = [weights.to_flax(entries, table, sizes) for entries in every]
        network = nnx.view(insert(build, arrays[0]), deterministic=True)
        graph, params, statistics = nnx.split(network, nnx.Param, ...)

        def stacked(state: nnx.State) -> nnx.State:
            return nnx.from_flat_state(
                (path, variable.replace(jnp.stack([of(path, each) for each in arrays])))
                for path, variable in nnx.to_flat_state(state)
            )

        return Towers(graph, stacked(params), stacked(statistics))


def of(path: tuple[Any, ...], arrays: dict[str, np.ndarray]) -> jax.Array:
    """A tower's own array; random streams, which nothing draws from, are zeros."""
    return jnp.asarray(arrays.get(".".join(map(str, path)), 0))


def padded(array: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Filled up with zeros to a size along an axis."""
    missing = [(0, 0)] * array.ndim
    missing[axis] = (0, size - array.shape[axis])
    return np.pad(array, missing)


def test_evaluation_in_float64_equals_the_published_networks(towers: Towers) -> None:
    given = {**CONFIG.channels, "supervised": 5}
    parts = [golden.signal(f"effnet/{tag}", 3, C, CLIP) for tag, C in given.items()]
    x = np.stack([padded(part, WIDEST, axis=1) for part in parts])
    with jax.enable_x64(True):
        run = jax.jit(lambda *state: towers.run(*state, evaluate=True)[0])
        found = np.asarray(run(towers.params, towers.statistics, x))
    for tag, out in zip(given, found, strict=True):
        error = golden.error(out[:, : GOLDEN[tag].shape[1]], GOLDEN[tag])
        print(f"{tag}: {error:.1e}")
        assert error <= FLOAT64_BOUND, tag


def test_training_follows_the_published_run(towers: Towers) -> None:
    """Three steps, leave-one-out, momentum 0.9: every gradient shows in the next step's loss."""

    def total(trained: Any, statistics: Any, x: jax.Array) -> Any:
        embeddings, statistics = towers.run(trained[0], statistics, x)  # (M, B, E)
        present = jnp.ones((BATCH, len(TOWERS)), bool)
        out = losses.leave_one_out(embeddings.swapaxes(0, 1), present, trained[1])
        return out.loss, statistics

    def step(trained: Any, momentum: Any, statistics: Any, x: jax.Array) -> Any:
        gradients = jax.value_and_grad(total, has_aux=True)
        (loss, statistics), gradient = gradients(trained, statistics, x)
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, gradient)
        params, temperature = jax.tree.map(lambda p, m: p - 1e-3 * m, trained, momentum)
        return (params, jnp.maximum(temperature, 0)), momentum, statistics, loss

    with jax.enable_x64(True):
        state = (towers.params, towers.statistics)
        params, statistics = jax.tree.map(lambda array: array[: len(TOWERS)], state)
        trained = (params, jnp.zeros(()))
        momentum = jax.tree.map(jnp.zeros_like, trained)
        # Without the newer emitters it compiles in two thirds of the time.
        run = jax.jit(step, compiler_options={"xla_cpu_use_fusion_emitters": False})
        found = []
        for number in range(STEPS):
            x = np.stack(
                [
                    padded(golden.signal(f"effnet_train/{number}/{m}", BATCH, C, CLIP), WIDEST, 1)
                    for m, C in CONFIG.channels.items()
                ]
            )
            trained, momentum, statistics, loss = run(trained, momentum, statistics, x)
            found.append(float(loss) * BATCH)
    off = np.abs(np.array(found) / GOLDEN["train_losses"] - 1).max()
    print(f"losses off by {off:.1e} (relative)")
    assert off < TRAJECTORY_BOUND
    assert float(trained[1]) == pytest.approx(float(GOLDEN["train_temperature"]), abs=1e-9)
