"""What the night adds to age and sex: nothing at first, and then on what was seen of nights."""

import jax
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax.models.disease_risk import RiskConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.train.residual_risk import ResidualRisk, Standardised

CONFIG = RiskConfig(16, 1, 2, 32, dropout=0.0, max_steps=12, labels=3)


def test_a_newborn_says_what_age_and_sex_say() -> None:
    graph, state = nnx.split(ResidualRisk(CONFIG, Numerics(), rngs=nnx.Rngs(0)))

    @jax.jit
    def run(state: nnx.State, *inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        network = nnx.merge(graph, state, copy=True)
        return network(*inputs), network.offset(inputs[-1])

    draw = np.random.default_rng(0)
    nights = draw.standard_normal((4, 4, 12, 16)).astype(np.float32)
    people = draw.random((4, 2)).astype(np.float32)
    whole, alone = run(state, nights, np.ones((4, 4), bool), np.full(4, 12, np.int32), people)
    np.testing.assert_array_equal(whole, alone)
    assert len(np.unique(np.asarray(whole)[:, 0])) == 4


def test_what_was_seen_begins_with_the_first_batch() -> None:
    draw = np.random.default_rng(1)
    norm = Standardised(5)
    first = (3 + 0.01 * draw.standard_normal((64, 5))).astype(np.float32)
    trained = norm(first)
    np.testing.assert_allclose(np.asarray(trained).std(axis=0), 1, rtol=1e-3)
    seen = nnx.view(norm, deterministic=True)
    np.testing.assert_allclose(seen(first), trained, rtol=1e-3, atol=1e-3)
    for _ in range(200):
        norm((5 + 0.02 * draw.standard_normal((64, 5))).astype(np.float32))
    assert np.asarray(norm.mean[...]) == pytest.approx(np.full(5, 5), abs=2e-3)
    assert np.sqrt(np.asarray(norm.var[...])) == pytest.approx(np.full(5, 0.02), rel=0.15)
