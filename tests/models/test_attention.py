"""Attention in blocks is attention at once: values, gradients, and what dropout drops."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sleepfm_jax.models import attention
from sleepfm_jax.models.attention import attend

N, H, S, D = 2, 3, 10, 4


def in_blocks_of(rows: int, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(attention, "WHOLE", S - 1)
    patch.setattr(attention, "LEAST_ROWS", 1)
    patch.setattr(attention, "WEIGHTS_ON_CPU", rows * N * H * S)


@pytest.mark.parametrize("rows", [1, 4, 7])
@pytest.mark.parametrize("queries", [1, S])
def test_blocks_give_the_same_values_and_gradients(
    rows: int, queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last block is filled up; a mask of keys, or one for each query."""
    draw = np.random.default_rng(0)
    given = [draw.standard_normal((N, H, S, D)) for _ in range(3)]
    mask = draw.random((N, queries, S)) < 0.5
    mask[0] = False  # an empty night: each query sees itself alone

    def total(given: list[jax.Array]) -> Any:
        mixed = attend(*given, mask, "highest")
        return (mixed * np.cos(np.arange(D))).sum(), mixed

    def run() -> Any:
        return jax.jit(jax.value_and_grad(lambda given: total(given), has_aux=True))(given)

    with jax.enable_x64(True):
        whole = run()
        in_blocks_of(rows, monkeypatch)
        in_blocks = run()
        assert whole[0][1].shape == (N, H, S, D)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-13),
            in_blocks,
            whole,
        )


@pytest.mark.parametrize("rows", [2, S])
def test_dropout_takes_its_share_in_every_block(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal keys get weights 1/S; values that name their key show which were dropped."""
    in_blocks_of(rows, monkeypatch)
    zeros = jnp.zeros((N, H, S, S))
    names = jnp.broadcast_to(jnp.eye(S), (N, H, S, S))
    run = jax.jit(
        lambda key: attend(zeros, zeros, names, jnp.ones((N, 1, S), bool), "highest", key, 0.4)
    )
    weights = np.asarray(run(jax.random.key(0)))  # (N, H, S, S)
    np.testing.assert_allclose(np.unique(weights), [0, 1 / S / 0.6], rtol=1e-6)
    assert abs((weights == 0).mean() - 0.4) < 5 * np.sqrt(0.24 / weights.size)
    assert len(np.unique(weights.reshape(-1, S), axis=0)) > 0.9 * N * H * S  # no mask comes again
    assert (np.asarray(run(jax.random.key(1))) != weights).mean() > 0.4
