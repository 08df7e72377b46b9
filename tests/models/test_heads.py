"""Laws of the heads: a night's numbers depend on what it really has, and on nothing else."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.models.disease_risk import (
    DemographicRisk,
    DemographicRiskConfig,
    DiseaseRisk,
    RiskConfig,
    SupervisedRisk,
    SupervisedRiskConfig,
)
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.sleep_stager import SleepStager, StagingConfig
from sleepfm_jax.models.weights import insert
from tests.models.small_network import distance, random_arrays, signals

B, M, T, E, L = 2, 4, 12, 16, 7
STAGING = StagingConfig(E, 2, 1, 2, 32, 0.3, max_steps=T + 1)
RISK = RiskConfig(E, 1, 2, 32, 0.3, max_steps=5, labels=L)
NUMERICS = Numerics("float64", "float64")
KINDS: dict[str, Callable[..., nnx.Module]] = {
    "staging": lambda numerics=NUMERICS: SleepStager(STAGING, numerics, rngs=nnx.Rngs(0)),
    "risk": lambda numerics=NUMERICS: DiseaseRisk(RISK, numerics, rngs=nnx.Rngs(0)),
}
STEPS = np.full(B, T)
masks = st.lists(st.booleans(), min_size=M, max_size=M).filter(any).map(np.array)


@functools.cache
def head(kind: str) -> Callable[..., Any]:
    """(embeddings, present, steps) → outputs, and gradients of their sum by embeddings."""
    with jax.enable_x64(True):
        build = KINDS[kind]
        module = nnx.view(insert(build, random_arrays(build)), deterministic=True)
        graph, state = nnx.split(module)
        people = (np.array([[0.3, 1.0]] * B),) if kind == "risk" else ()

        def total(x: jax.Array, state: nnx.State, *rest: jax.Array) -> Any:
            out = nnx.merge(graph, state)(x, *rest, *people)
            return out.sum(), out

        run = jax.jit(jax.value_and_grad(total, has_aux=True))

    def call(x: np.ndarray, present: np.ndarray, steps: np.ndarray) -> Any:
        with jax.enable_x64(True):
            (_, out), gradient = run(x, state, present, steps)
            return np.asarray(out), np.asarray(gradient)

    return call


def nights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((B, M, T, E))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(present=masks, steps=st.integers(1, T), other=st.integers(0, T), seed=st.integers(0, 99))
def test_padding_absent_modalities_and_neighbours_do_not_matter(
    kind: str, present: np.ndarray, steps: int, other: int, seed: int
) -> None:
    """Not even if they are NaN."""
    x, both = nights(seed), np.array([steps, T])
    there = np.stack([present, np.ones(M, bool)])
    out, _ = head(kind)(x, there, both)
    changed = x.copy()
    changed[0, ~present] = np.nan
    changed[0, :, steps:] = np.nan
    changed[1] = nights(seed + 1)[1]
    again, gradient = head(kind)(changed, there[[0, 0]], np.array([steps, other]))
    np.testing.assert_allclose(again[0], out[0], rtol=0, atol=1e-13)
    assert np.isfinite(again).all()
    assert np.isfinite(gradient).all()
    reached = gradient[0].any(axis=-1)  # (M, T)
    np.testing.assert_array_equal(reached, present[:, None] & (np.arange(T) < steps))


@pytest.mark.parametrize("kind", KINDS)
def test_modalities_are_a_set(kind: str) -> None:
    x, steps = nights(3), np.array([T, 5])
    present = np.array([[True, False, True, True], [True, True, True, False]])
    out, _ = head(kind)(x, present, steps)
    order = [2, 3, 1, 0]
    turned, _ = head(kind)(x[:, order], present[:, order], steps)
    np.testing.assert_allclose(turned, out, rtol=0, atol=1e-13)


def test_stages_depend_on_the_order_of_steps_and_a_risk_too() -> None:
    """Positions and LSTM are there: reversing the night is not reversing the answer."""
    x, present, steps = nights(4), np.ones((B, M), bool), np.full(B, T)
    for kind in KINDS:
        out, _ = head(kind)(x, present, steps)
        back, _ = head(kind)(x[:, :, ::-1], present, steps)
        assert distance(back[:, ::-1] if kind == "staging" else back, out) > 1e-3


def test_a_night_longer_than_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="14 steps are more than the model's 13"):
        head("staging")(np.zeros((B, M, T + 2, E)), np.ones((B, M), bool), np.full(B, T))


def test_what_nothing_uses_is_not_trained() -> None:
    """A checkpoint's table and layer norm of the disease model."""
    module = nnx.eval_shape(lambda: KINDS["risk"](Numerics()))
    kept = nnx.to_flat_state(nnx.state(module, nnx.Not(nnx.Any(nnx.Param, nnx.RngState))))
    assert {path[0] for path, _ in kept} == {"positions", "unused_scale", "unused_bias"}


@pytest.mark.parametrize("demographics", [0, 2])
def test_demographics_are_asked_for_exactly_where_the_model_takes_them(demographics: int) -> None:
    config = dataclasses.replace(RISK, demographics=demographics)
    wrong = None if demographics else np.zeros((B, 2))
    with pytest.raises(ValueError, match="demographics are missing, or the model takes none"):
        nnx.eval_shape(
            lambda x: DiseaseRisk(config, rngs=nnx.Rngs(0))(x, np.ones((B, M), bool), STEPS, wrong),
            nights(0),
        )


def test_demographics_alone_answer_for_each_person() -> None:
    module = DemographicRisk(DemographicRiskConfig(E, 0.3, L, 3), rngs=nnx.Rngs(0))
    module = nnx.view(module, deterministic=True)
    people = np.random.default_rng(0).random((5, 3)).astype("float32")
    run = nnx.jit(lambda module, people: module(people))
    out = np.asarray(run(module, people))
    assert out.shape == (5, L)
    np.testing.assert_allclose(run(module, people[::-1]), out[::-1], atol=1e-6)
    linear, last = module.demographics.linear, module.out
    hidden = np.maximum(people @ linear.kernel[...] + linear.bias[...], 0)
    np.testing.assert_allclose(out, hidden @ last.kernel[...] + last.bias[...], atol=1e-6)


def test_raw_channels_are_one_set_and_empty_slots_and_padding_do_not_matter() -> None:
    config = SupervisedRiskConfig(E, 1, 2, 32, 0.3, labels=L)

    def build() -> SupervisedRisk:
        return SupervisedRisk(config, rngs=nnx.Rngs(0))

    module = nnx.view(
        insert(build, random_arrays(build)), deterministic=True, use_running_average=True
    )
    graph, state = nnx.split(module)
    run = jax.jit(lambda state, *inputs: nnx.merge(graph, state)(*inputs))
    x, people = signals(0, 2, 3, 4).astype("float32"), np.array([[0.5, 1], [0.2, 0]], "float32")
    modality, patches = np.array([[0, 2, 3], [-1, 1, -1]], np.int8), np.array([4, 2])
    out = np.asarray(run(state, x, modality, patches, people))
    changed = x.copy()
    changed[1, [0, 2]] = np.nan
    changed[1, :, 2 * 640 :] = np.nan
    order = [1, 2, 0]
    other = np.array([[1, 1, 1], [-1, 0, -1]], np.int8)
    again = np.asarray(run(state, changed[:, order], other[:, order], patches, people))
    np.testing.assert_allclose(again, out, atol=2e-6)
    alone = run(state, x[1:, 1:2, : 2 * 640], modality[1:, 1:2], patches[1:], people[1:])
    np.testing.assert_allclose(alone[0], out[1], atol=2e-6)
