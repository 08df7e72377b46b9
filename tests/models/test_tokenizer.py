"""The tokenizer: banded products are convolutions, in value and gradient; patches stay alone."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from sleepfm_jax.models import tokenizer
from sleepfm_jax.models.batch_norm import Slots
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.tokenizer import CHANNELS, PATCH, StridedConv, chunks, elu
from sleepfm_jax.models.weights import insert
from tests.models import small_network
from tests.models.small_network import distance

LAYERS = list(enumerate(itertools.pairwise(CHANNELS)))
Arrays = tuple[jax.Array, ...]


@pytest.mark.parametrize(("halvings", "channels"), LAYERS)
def test_banded_product_is_a_convolution(halvings: int, channels: tuple[int, int]) -> None:
    """Values and gradients by signal, kernel and bias equal XLA's convolution in float64."""
    inputs, outputs = channels
    length = PATCH >> halvings
    draw = np.random.default_rng(halvings)
    arguments = (
        draw.standard_normal((6, length, inputs)),
        draw.standard_normal((5, inputs, outputs)),
        draw.standard_normal(outputs),
    )
    direction = draw.standard_normal((6, length // 2, outputs))
    numerics = Numerics("float64", "float64")

    def ours(x: jax.Array, kernel: Any, bias: Any) -> jax.Array:
        build = lambda: StridedConv(inputs, outputs, numerics, rngs=nnx.Rngs(0))  # noqa: E731
        return insert(build, {"kernel": kernel, "bias": bias})(x)

    def plain(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
        layout = ("NWC", "WIO", "NWC")
        return bias + jax.lax.conv_general_dilated(
            x, kernel, (2,), [(2, 2)], dimension_numbers=layout, precision="highest"
        )

    def value_and_gradients(convolution: Callable[..., jax.Array]) -> Arrays:
        def along(*arguments: jax.Array) -> tuple[jax.Array, jax.Array]:
            value = convolution(*arguments)
            return (value * direction).sum(), value

        with jax.enable_x64(True):
            run = jax.jit(jax.value_and_grad(along, argnums=(0, 1, 2), has_aux=True))
            (_, value), gradients = run(*arguments)
        return value, *gradients

    pairs = zip(value_and_gradients(ours), value_and_gradients(plain), strict=True)
    for array, expected in pairs:
        assert distance(np.asarray(array), np.asarray(expected)) < 1e-13


def test_each_patch_of_each_channel_alone_makes_its_token() -> None:
    B, C, S = 2, 3, 2
    with jax.enable_x64(True):
        network = nnx.view(small_network.model(), use_running_average=True)
        graph, state = nnx.split(network.tokenizer)
        slots = Slots(jnp.ones((B, C, 4)), jnp.ones((B, S), bool))
        run = jax.jit(lambda signals: nnx.merge(graph, state)(signals, slots))
        signals = small_network.signals(0, B, C, S)
        before = np.asarray(run(signals))  # (B, C, S, E)
        for b, c, s in np.ndindex(B, C, S):
            other = signals.copy()
            other[b, c, s * PATCH : (s + 1) * PATCH] += 1.0
            changed = (np.asarray(run(other)) != before).any(axis=-1)
            np.testing.assert_array_equal(np.argwhere(changed), [[b, c, s]])


@given(slots=st.integers(1, 4096), patches=st.integers(1, 128))
def test_chunks_are_even_and_as_few_as_fit_the_cache(slots: int, patches: int) -> None:
    K = chunks(slots, patches)
    assert patches % K == 0
    fitting = [k for k in range(1, patches + 1) if patches % k == 0 and slots * patches / k <= 1024]
    assert min(fitting, default=patches) == K


def test_an_accelerator_takes_all_patches_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert chunks(2048, 60) == 1


def test_chunks_and_remat_change_neither_tokens_nor_statistics_nor_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    B, C, S = 2, 3, 4
    modality, patches = jnp.array([[0, 0, 2], [1, -1, 0]]), jnp.array([4, 3])

    def train(cached: int, remat: bool = False) -> list[np.ndarray]:
        monkeypatch.setattr(tokenizer, "CACHED", cached)
        network = small_network.model().tokenizer
        network.remat = remat
        graph, params, rest = nnx.split(network, nnx.Param, ...)
        slots = Slots(modality[..., None] == jnp.arange(4), jnp.arange(S) < patches[:, None])

        def total(params: nnx.State, signals: jax.Array) -> Any:
            network = nnx.merge(graph, params, rest, copy=True)
            tokens = network(signals, slots)
            share = jnp.sin(jnp.arange(tokens.size).reshape(tokens.shape))
            return (tokens * share).sum(), (tokens, nnx.state(network, nnx.BatchStat))

        run = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))
        return [
            np.asarray(a) for a in jax.tree.leaves(run(params, small_network.signals(1, B, C, S)))
        ]

    with jax.enable_x64(True):
        whole, cut = train(B * C * S, remat=True), train(B * C)
    for array, expected in zip(cut, whole, strict=True):
        assert distance(array, expected) < 1e-12


def test_elu_is_exact_and_its_slope_finite() -> None:
    x = np.concatenate([[-1e30, -100.0, 0.0, 100.0, 1e30], np.linspace(-20, 20, 4001)])
    x = x.astype("float32")
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(elu)))(x)
    exact = np.where(x > 0, x, np.expm1(np.minimum(x, 0).astype("float64")))
    np.testing.assert_allclose(value, exact, rtol=1e-7, atol=1.2e-7)
    np.testing.assert_allclose(slope, np.where(x > 0, 1, np.exp(np.minimum(x, 0))), atol=1e-6)
