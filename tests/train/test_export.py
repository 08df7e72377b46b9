"""A state becomes a model folder and a model a state, with not one number changed."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.foundation import SleepFM
from sleepfm_jax.models.weights import shapes
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train import optimizers, state
from sleepfm_jax.train.export import saved_model_of, start_from
from sleepfm_jax.train.mesh import make_mesh
from tests.train.small_run import ADAM, SIZE, arrays, task


@functools.cache
def born(seed: int) -> state.TrainState:
    """Weights split over eight devices."""
    small = task("float32")
    rate = optimizers.schedule(ADAM, 10, 1)
    optimizer = optimizers.make(ADAM, rate, small.nonnegative)
    return state.create_state(small.build, optimizer, make_mesh(2, 2, 2), seed)


@functools.cache
def model() -> SavedModel:
    """Of the first state, its temperature and batch statistics other than at birth."""
    one = born(0)
    params = {**one.params, "temperature": one.params["temperature"] + 0.75}
    extra = jax.tree_util.tree_map_with_path(_move_statistics, one.extra)
    return saved_model_of(params, extra, SIZE, {"step": 7})


def _move_statistics(path: tuple, leaf: jax.Array) -> jax.Array:
    return leaf + 2 if str(path[-1].key) in ("mean", "var") else leaf


def test_a_model_is_its_network_and_the_temperature() -> None:
    network = shapes(lambda: SleepFM(SIZE, rngs=nnx.Rngs(0)))
    weights = model().weights
    assert set(weights) == {*network, "temperature"}
    assert {name: weights[name].shape for name in network} == network
    assert all(isinstance(array, np.ndarray) for array in weights.values())
    assert weights["temperature"] == np.float32(0.75)
    assert (model().config, model().provenance) == (SIZE, {"step": 7})
    saved_model.build(model())  # and it fits


def test_a_state_that_starts_from_a_model_has_all_its_numbers() -> None:
    started = start_from(born(1), model())
    again = saved_model_of(started.params, started.extra, SIZE, {})
    assert again.content_hash == model().content_hash
    other = saved_model_of(born(1).params, born(1).extra, SIZE, {})
    assert other.content_hash != model().content_hash


def test_what_is_no_part_of_the_model_stays_newborn() -> None:
    """Steps, optimiser and random streams; and every array keeps its layout."""
    newborn, started = born(1), start_from(born(1), model())
    before, after = arrays(newborn), arrays(started)
    changed = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert any("kernel" in name for name in changed)
    assert not any("optimizer" in name or "key" in name.lower() for name in changed)
    for old, new in zip(jax.tree.leaves(newborn), jax.tree.leaves(started), strict=True):
        assert (old.dtype, old.sharding) == (new.dtype, new.sharding)


def test_a_model_without_a_temperature_is_taken() -> None:
    """Such as one that was imported for inference."""
    weights = {name: a for name, a in model().weights.items() if name != "temperature"}
    started = start_from(born(1), dataclasses.replace(model(), weights=weights))
    assert started.params["temperature"] == born(1).params["temperature"]


@pytest.mark.parametrize("kind", ["kernel", "bias", "var", "positions"])
def test_a_model_that_lacks_an_array_is_refused(kind: str) -> None:
    name = next(name for name in sorted(model().weights) if name.endswith(kind))
    weights = {other: a for other, a in model().weights.items() if other != name}
    with pytest.raises(InputError, match=f"to start from lacks {name}: choose another one"):
        start_from(born(1), dataclasses.replace(model(), weights=weights))


def test_a_deeper_model_is_refused() -> None:
    """Its first layers alone would be another model."""
    name = "encoder.1.attention.kernel"
    weights = {**model().weights, name: np.zeros((2, 2), np.float32)}
    with pytest.raises(InputError, match=f"has {name}, which this run's lacks: set --config.model"):
        start_from(born(1), dataclasses.replace(model(), weights=weights))


def test_a_model_of_another_size_is_refused() -> None:
    weights = {
        name: array[..., :-1] if array.ndim > 1 else array
        for name, array in model().weights.items()
    }
    with pytest.raises(InputError, match=r"of shape \(.*\), this run's is \(.*\): set") as caught:
        start_from(born(1), dataclasses.replace(model(), weights=weights))
    assert "\n" not in str(caught.value)
