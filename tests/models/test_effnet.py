"""Towers over clips: PyTorch's on the clips that are there, each from its own channels alone."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conversion import weights
from conversion.effnet import supervised_effnet
from conversion.models import load_reference
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.kinds import KINDS, Config, kind_of, network_of
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import insert
from sleepfm_jax.saved_model import SavedModel
from tests.models.small_network import distance, random_arrays

SIZES: dict[str, Any] = {"widths": (4, 6), "depths": (2,), "expansion": 2, "features": 8}
TOWERS = EffNetConfig(2, 1, 1, embed_dim=4, dropout=0.0, **SIZES)
ALONE = SupervisedEffNetConfig(2, 4, dropout=0.0, **SIZES)
BATCH, SAMPLES = 4, 32
SHARE = np.cos(np.arange(BATCH * ALONE.classes)).reshape(BATCH, ALONE.classes)


def network(config: Config, numerics: Numerics | None = None, remat: bool = False) -> Any:
    """Random weights."""

    def build() -> nnx.Module:
        return KINDS[kind_of(config)].network(config, numerics, remat, rngs=nnx.Rngs(0))

    return insert(build, random_arrays(build))


@pytest.fixture(scope="module")
def towers() -> Any:
    return network(TOWERS)


@pytest.fixture(scope="module")
def evaluate(towers: Any) -> Any:
    view = nnx.view(towers, deterministic=True, use_running_average=True)
    graph, state = nnx.split(view)
    run = jax.jit(lambda state, x, present: nnx.merge(graph, state)(x, present))

    def call(x: np.ndarray, present: np.ndarray | None = None) -> np.ndarray:
        present = np.ones((len(x), 3), bool) if present is None else present
        return np.asarray(run(state, x.astype(np.float32), present))

    return call


@functools.cache
def trained(dtype: str, held: str, remat: bool) -> Any:
    """(clips, rows) → logits, arrays by path: gradients and new statistics; gradient of clips.

    Gradients are those of a weighted sum of all logits.
    """
    with jax.enable_x64(held == "float64"):
        tower = network(ALONE, Numerics(dtype, held), remat)
        graph, params, rest = nnx.split(tower, nnx.Param, ...)

        def total(params: Any, x: jax.Array, rows: jax.Array) -> Any:
            model = nnx.merge(graph, params, rest, copy=True)
            out = model(x, rows)
            return (out * SHARE.astype(held)).sum(), (out, nnx.state(model, nnx.BatchStat))

        run = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))

    def call(x: np.ndarray, rows: np.ndarray) -> Any:
        with jax.enable_x64(held == "float64"):
            (_, (out, statistics)), (of_params, of_x) = run(params, x, rows)
        return out, {**by_path(of_params), **by_path(statistics)}, np.asarray(of_x)

    return call


def by_path(state: nnx.State) -> dict[str, np.ndarray]:
    return {".".join(map(str, path)): np.asarray(v[...]) for path, v in nnx.to_flat_state(state)}


def pytorch_on_what_is_there(x: np.ndarray, rows: np.ndarray) -> Any:
    """What `trained` gives, of PyTorch's tower on these clips alone."""
    arrays = random_arrays(lambda: network_of(ALONE, rngs=nnx.Rngs(0)))
    theirs: Any = load_reference(SavedModel(ALONE, arrays)).double().train()
    logits, of_x = np.zeros((BATCH, ALONE.classes)), np.zeros_like(x)
    if rows.any():
        clips = torch.from_numpy(x[rows]).requires_grad_()
        out = theirs(clips)
        (out * torch.from_numpy(SHARE[rows])).sum().backward()
        logits[rows], of_x[rows] = out.detach().numpy(), clips.grad.numpy()
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    for key, value in theirs.named_parameters():
        entries[key] = np.zeros(value.shape) if value.grad is None else value.grad.numpy()
    sizes = {path: array.shape for path, array in arrays.items()}
    return logits, weights.to_flax(entries, supervised_effnet(ALONE), sizes), of_x


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


@settings(max_examples=5, deadline=None)
@given(
    flags=st.lists(st.booleans(), min_size=BATCH, max_size=BATCH),
    filling=st.sampled_from([0.0, 7.0, np.nan]),
)
@example(flags=[False] * BATCH, filling=np.inf)
def test_training_is_pytorchs_on_the_clips_that_are_there(
    flags: list[bool], filling: float
) -> None:
    """What stands in other rows enters no statistics and gets neither logits nor gradient.

    The backward pass computes activations again.
    """
    rows = np.array(flags)
    x = np.where(rows[:, None, None], noise(BATCH, 2, SAMPLES), filling)
    logits, arrays, of_x = pytorch_on_what_is_there(x, rows)
    out, found, found_of_x = trained("float64", "float64", True)(x, rows)
    np.testing.assert_allclose(out, logits, atol=1e-12)
    np.testing.assert_array_equal(np.asarray(out)[~rows], 0)
    np.testing.assert_allclose(found_of_x, of_x, atol=1e-12)
    assert found.keys() == arrays.keys()
    for path, array in arrays.items():
        np.testing.assert_allclose(found[path], array, rtol=1e-10, atol=1e-10, err_msg=path)


def test_bfloat16_trains_alike() -> None:
    """Activations alone are of half precision: statistics and gradients of weights are float32."""
    x, rows = noise(BATCH, 2, SAMPLES), np.arange(BATCH) > 0
    out, found, _ = trained("bfloat16", "float32", False)(x.astype(np.float16), rows)
    expected, arrays, _ = trained("float64", "float64", True)(x, rows)
    assert out.dtype == jnp.bfloat16
    assert distance(np.asarray(out, np.float64), np.asarray(expected)) < 0.05
    assert {array.dtype for array in found.values()} == {np.dtype("f4"), np.dtype("i4")}
    ours, theirs = (np.concatenate([s[p].ravel() for p in arrays]) for s in (found, arrays))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99


def test_each_embedding_comes_from_its_own_channels(evaluate: Any) -> None:
    x = noise(2, 4, SAMPLES)
    before = evaluate(x)
    assert before.shape == (2, 3, 4)
    for channel, tower in enumerate((0, 0, 1, 2)):
        other = x.copy()
        other[0, channel] += noise(SAMPLES)
        changed = np.abs(evaluate(other) - before).max(axis=-1) > 0  # (B, M)
        expected = np.zeros((2, 3), bool)
        expected[0, tower] = True
        np.testing.assert_array_equal(changed, expected)


def test_neighbours_change_no_embedding_nor_does_what_they_lack(evaluate: Any) -> None:
    x = noise(2, 4, SAMPLES)
    both, swapped = evaluate(x), evaluate(x[::-1].copy())
    np.testing.assert_array_equal(both, swapped[::-1])
    present = np.array([[True, False, True], [False, True, True]])
    x[0, 2], x[1, :2] = np.nan, np.inf
    np.testing.assert_array_equal(evaluate(x, present), np.where(present[..., None], both, 0))


@pytest.mark.parametrize(
    ("shape", "fault"),
    [((1, 4, 257), "257 samples"), ((1, 4, 0), "0 samples"), ((1, 5, 256), "5 channels")],
)
def test_other_clips_are_refused(towers: Any, shape: tuple[int, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        towers(jnp.zeros(shape))


@pytest.mark.parametrize(
    "sizes",
    [
        {"widths": (4, 6, 4)},
        {"depths": (), "widths": (4,)},
        {"depths": (1,) * 8, "widths": (4,) * 9},
        {"depths": (0,)},
        {"widths": (4, 6.5)},
        {"expansion": 0},
        {"features": True},
    ],
)
def test_sizes_that_no_tower_has_are_refused(sizes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        dataclasses.replace(TOWERS, **sizes)
