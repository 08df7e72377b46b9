"""Risk sets of the whole cohort: what a batch learns is its share of what all would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax import losses
from sleepfm_jax.train.cohort_scores import CohortScores

N, L = 12, 3
DRAW = np.random.default_rng(0)
TIME = DRAW.integers(1, 8, (N, L)).astype(np.float32)
EVENT = DRAW.random((N, L)) < 0.5


@pytest.fixture(scope="module")
def step():
    """(log hazards (B, L), rows (B,), scores (N, L)) → loss, gradient, new scores."""
    graph, others = nnx.split(CohortScores(TIME, EVENT, "breslow"))

    def loss(h: jax.Array, subject: jax.Array, scores: jax.Array):
        cohort = nnx.merge(graph, others, copy=True)
        cohort.scores[...] = scores
        return cohort(h, subject), cohort.scores[...]

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def test_all_in_one_batch_is_the_plain_loss(step) -> None:
    h = DRAW.standard_normal((N, L)).astype(np.float32)
    order = DRAW.permutation(N)
    (loss, scores), slope = step(h[order], order, jnp.zeros((N, L)))
    plain, expected = jax.jit(jax.value_and_grad(losses.cox_partial_likelihood))(h, TIME, EVENT)
    assert float(loss) == pytest.approx(float(plain), rel=1e-6)
    np.testing.assert_allclose(slope, expected[order], rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(scores, h)


def test_a_batch_moves_as_the_whole_cohort_would_move_it(step) -> None:
    """Where all remembered scores are fresh: its rows of the gradient, N / B times."""
    h = DRAW.standard_normal((N, L)).astype(np.float32)
    _, whole = jax.jit(jax.value_and_grad(losses.cox_partial_likelihood))(h, TIME, EVENT)
    rows = np.array([7, 2, 11, -1])
    before = h.copy()
    before[7] += 5  # what the batch says now counts, not what was remembered
    (_, scores), slope = step(h[rows], rows, before)
    np.testing.assert_allclose(slope[:3], N / 3 * whole[rows[:3]], rtol=1e-4, atol=1e-6)
    assert not np.asarray(slope[3]).any(), "an empty row moved"
    np.testing.assert_array_equal(scores, h)
