"""Staging and Cox losses: golden values and gradients, the definition by hand, ties."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax import losses
from tests import golden

LOSSES = np.load(golden.DATA / "losses.npz")
B, L = 9, 3


@functools.cache
def compiled(ties: str) -> Callable:
    loss = functools.partial(losses.cox_partial_likelihood, ties=ties)
    return jax.jit(jax.value_and_grad(loss))


def cox(h: np.ndarray, time: np.ndarray, event: np.ndarray, ties: str = "breslow"):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, compiled(ties)(h, time, np.asarray(event, bool)))


def test_cox_equals_the_published_numbers() -> None:
    loss, slope = cox(*(LOSSES[f"cox/{name}"] for name in ("hazards", "time", "event")))
    assert float(loss) == pytest.approx(float(LOSSES["cox/loss"]), rel=1e-14)
    assert golden.error(slope, LOSSES["cox/dhazards"]) < 1e-14


def test_staging_equals_the_published_numbers() -> None:
    logits = golden.signal("stage/logits", 2, 30, 5)
    stages = np.where(LOSSES["stage/mask"] > 0, -1, LOSSES["stage/y"]).astype(np.int8)
    with jax.enable_x64(True):
        loss, slope = jax.jit(jax.value_and_grad(losses.staging))(jnp.asarray(logits), stages)
    assert float(loss) == pytest.approx(float(LOSSES["stage/loss"]), rel=1e-14)
    assert golden.error(np.asarray(slope), LOSSES["stage/dlogits"]) < 1e-14


def test_staging_of_nothing_scored_is_zero() -> None:
    with jax.enable_x64(True):
        loss, slope = jax.jit(jax.value_and_grad(losses.staging))(
            jnp.ones((2, 30, 5)), np.full((2, 30), -1, np.int8)
        )
    assert float(loss) == 0
    assert not np.asarray(slope).any()


def by_hand(h: np.ndarray, time: np.ndarray, event: np.ndarray, ties: str) -> float:
    """The definition, event by event."""
    total = []
    for label in range(h.shape[1]):
        t, e, r = time[:, label], event[:, label], np.exp(h[:, label])
        terms = 0.0
        for moment in np.unique(t[e]):
            tied = e & (t == moment)
            for k in range(tied.sum()):
                off = k / tied.sum() * r[tied].sum() if ties == "efron" else 0.0
                terms += np.log(r[t >= moment].sum() - off)
            terms -= h[tied, label].sum()
        total.append(terms / (e.sum() + 1e-9))
    return float(np.mean(total))


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Few different times, so that many are tied."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    time = rng.integers(1, draw(st.integers(2, 12)), (B, L)).astype(float)
    unknown = rng.random((B, L)) < 0.2
    event = (rng.random((B, L)) < draw(st.sampled_from([0.0, 0.3, 1.0]))) & ~unknown
    return rng.normal(0, 2, (B, L)), np.where(unknown, losses.NEVER, time), event


@pytest.mark.parametrize("ties", ["breslow", "efron"])
@settings(max_examples=25, deadline=None)
@given(cohort=cohorts(), seed=st.integers(0, 100))
def test_ties_and_unknown_times_follow_the_definition(ties: str, cohort, seed: int) -> None:
    h, time, event = cohort
    loss, slope = cox(h, time, event, ties)
    assert float(loss) == pytest.approx(by_hand(h, time, event, ties), rel=1e-10, abs=1e-12)
    assert np.isfinite(slope).all()
    unknown = time == losses.NEVER
    assert not slope[unknown].any(), "who is not known moved"
    order = np.random.default_rng(seed).permutation(B)
    again, slope_again = cox(h[order], time[order], event[order], ties)
    assert float(again) == pytest.approx(float(loss), rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(slope_again, slope[order], rtol=1e-9, atol=1e-12)


def test_large_hazards_stay_finite() -> None:
    h = np.linspace(-300, 300, B * L).reshape(B, L)
    time = np.tile(np.arange(1.0, B + 1)[:, None], L) // 2
    for ties in ("breslow", "efron"):
        loss, slope = cox(h, time, np.ones((B, L), bool), ties)
        assert np.isfinite(loss)
        assert np.isfinite(slope).all()
