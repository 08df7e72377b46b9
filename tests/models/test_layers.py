"""Encoder layers: who sees whom, what dropout drops, norms; parity stands in tests/parity."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.models.layers import (
    EncoderLayer,
    LayerNorm,
    Numerics,
    PositionalTable,
    SelfAttention,
    dense,
    sinusoidal_table,
    uniform_fan_in,
)
from sleepfm_jax.models.weights import insert, shapes
from tests.golden import DATA
from tests.models.small_network import distance, random_arrays

N, S, E = 3, 5, 8
RATE = 0.3
FLOAT64 = Numerics("float64", "float64")
KEPT = np.float32(1 / (1 - RATE))  # what a one becomes that is not dropped


def tokens(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@functools.cache
def layer(pre_norm: bool) -> tuple[Callable[..., jax.Array], nnx.State]:
    def build() -> EncoderLayer:
        return EncoderLayer(E, 2, 12, RATE, pre_norm, FLOAT64, rngs=nnx.Rngs(1))

    module = insert(build, random_arrays(build))
    graph, state = nnx.split(nnx.view(module, deterministic=True))
    return jax.jit(lambda state, *inputs: nnx.merge(graph, state)(*inputs)), state


@pytest.mark.parametrize("pre_norm", [True, False])
def test_what_is_masked_is_not_seen(pre_norm: bool) -> None:
    with jax.enable_x64(True):
        run, state = layer(pre_norm)

        @settings(max_examples=20, deadline=None)
        @given(
            mask=st.lists(st.booleans(), min_size=N * S * S, max_size=N * S * S),
            key=st.integers(0, S - 1),
        )
        def holds(mask: list[bool], key: int) -> None:
            seen = np.array(mask).reshape(N, S, S)
            before = tokens(0, N, S, E)
            after = before.copy()
            after[:, key] = tokens(1, N, E) * 1e3
            changed = (run(state, after, seen) != run(state, before, seen)).any(axis=-1)  # (N, S)
            allowed = seen[:, :, key] | (np.arange(S) == key)
            np.testing.assert_array_equal(changed, allowed)

        holds()


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_mask_over_keys_is_one_for_every_query(pre_norm: bool) -> None:
    with jax.enable_x64(True):
        run, state = layer(pre_norm)
        keys = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], bool)[:, None]
        x = tokens(2, N, S, E)
        over_keys = run(state, x, keys)
        for_each = run(state, x, np.broadcast_to(keys, (N, S, S)))
        np.testing.assert_array_equal(over_keys, for_each)
        assert np.isfinite(over_keys).all()


def test_attention_is_softmax_of_scaled_products() -> None:
    with jax.enable_x64(True):

        def build() -> SelfAttention:
            return SelfAttention(E, 2, 0.0, FLOAT64, rngs=nnx.Rngs(0))

        attention = insert(build, random_arrays(build))
        x = tokens(3, N, S, E)
        mask = np.array([[1, 1, 0, 1, 1], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)[:, None]
        kernel, bias = (np.asarray(a[...]) for a in (attention.qkv.kernel, attention.qkv.bias))
        expected = np.zeros((N, S, E))
        for head in range(2):
            q, k, v = (x @ kernel[:, i, head] + bias[i, head] for i in range(3))  # (N, S, D)
            logits = q @ k.swapaxes(1, 2) / np.sqrt(E / 2)
            weights = np.where(mask | np.eye(S, dtype=bool), np.exp(logits), 0)
            weights /= weights.sum(axis=-1, keepdims=True)
            expected += weights @ v @ np.asarray(attention.out.kernel[...])[head]
        expected += np.asarray(attention.out.bias[...])
        ours = nnx.jit(lambda attention: attention(x, mask))(attention)
        assert distance(np.asarray(ours), expected) < 1e-14


@pytest.mark.parametrize("pre_norm", [True, False])
def test_norms_stand_before_or_after(pre_norm: bool) -> None:
    """A post-norm layer's output is normalised; a pre-norm layer hands its input on as it is."""
    with jax.enable_x64(True):
        run, state = layer(pre_norm)
        x, mask = tokens(4, N, S, E), np.ones((N, 1, S), bool)
        out, shifted = np.asarray(run(state, x, mask)), np.asarray(run(state, x + 5, mask))
        norm = state["norm2"]
        normal = (out - np.asarray(norm["bias"][...])) / np.asarray(norm["scale"][...])
    spread = np.allclose(normal.var(axis=-1), 1, atol=1e-3)  # epsilon takes a little
    normalised = np.allclose(normal.mean(axis=-1), 0) and spread
    handed_on = np.allclose(shifted, out + 5)
    assert (normalised, handed_on) == (not pre_norm, pre_norm)


def test_remat_changes_neither_values_nor_gradients_nor_what_dropout_drops() -> None:
    """Nor how far random streams have moved on."""
    x, mask = tokens(5, N, S, E).astype("float32"), np.ones((1, 1, S), bool)

    def train(remat: bool) -> Any:
        def build() -> EncoderLayer:
            return EncoderLayer(E, 2, 12, RATE, True, Numerics(), remat, rngs=nnx.Rngs(1))

        graph, params, rest = nnx.split(insert(build, random_arrays(build)), nnx.Param, ...)

        def total(params: nnx.State, x: jax.Array) -> Any:
            encoder = nnx.merge(graph, params, rest, copy=True)
            out = jnp.sin(encoder(encoder(x, mask), mask))
            return out.sum(), (out, nnx.state(encoder, nnx.RngCount))

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))(params, x)

    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6),
        train(True),
        train(False),
    )


WIDTH, HEADS, TRIALS = 64, 4, 400
ONES, EYE = np.ones(WIDTH), np.eye(WIDTH)
SITES = {  # the arrays that make every input of one site a one, all others being zeros
    "attention weights": {
        "attention.qkv.bias": np.stack([0 * ONES, 0 * ONES, ONES]).reshape(3, HEADS, -1),
        "attention.out.kernel": EYE.reshape(HEADS, -1, WIDTH),
    },
    "after attention": {"attention.out.bias": ONES},
    "inside the feed-forward": {"up.bias": ONES, "down.kernel": EYE},
    "after the feed-forward": {"down.bias": ONES},
}


@pytest.mark.parametrize("site", SITES)
def test_dropout_acts_at_each_site(site: str) -> None:
    def build() -> EncoderLayer:
        return EncoderLayer(WIDTH, HEADS, WIDTH, RATE, True, Numerics(), rngs=nnx.Rngs(0))

    zeros = {name: np.zeros(shape) for name, shape in shapes(build).items()}
    encoder = insert(build, zeros | SITES[site])

    @nnx.jit
    def run(encoder: EncoderLayer) -> jax.Array:
        single = jnp.zeros((TRIALS, 1, WIDTH))  # sets of one token, whose attention weight is 1
        mask = jnp.ones((1, 1, 1), bool)
        if site == "attention weights":  # the two inner sites by themselves
            return encoder.attention(single, mask)
        if site == "inside the feed-forward":
            return encoder.feed_forward(single)
        return encoder(single, mask)

    first, second = np.asarray(run(encoder)), np.asarray(run(encoder))
    assert set(np.unique(first)) == {0.0, KEPT}
    draws = TRIALS * (HEADS if site == "attention weights" else WIDTH)
    assert abs((first == 0).mean() - RATE) < 5 * np.sqrt(RATE * (1 - RATE) / draws)
    assert (first != second).mean() > RATE
    if site == "attention weights":  # a weight is dropped for a whole head
        heads = first.reshape(TRIALS, HEADS, -1)
        np.testing.assert_array_equal(heads.min(axis=2), heads.max(axis=2))
    np.testing.assert_array_equal(run(nnx.view(encoder, deterministic=True)), 1 + 0 * first)


@pytest.mark.parametrize("shape", [(6,), (4, 6)])
def test_layer_norm_is_joint_over_its_axes(shape: tuple[int, ...]) -> None:
    with jax.enable_x64(True):
        norm = LayerNorm(shape, FLOAT64)
        norm.scale[...], norm.bias[...] = tokens(7, *shape), tokens(8, *shape)
        x = 1e-2 * tokens(9, 3, 4, 6) + 1.0  # a variance of 1e-4: epsilon counts
        axes = tuple(range(-len(shape), 0))
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        expected = (x - mean) / np.sqrt(variance + 1e-5) * norm.scale[...] + norm.bias[...]
        ours = nnx.jit(lambda norm: norm(x))(norm)
        assert distance(np.asarray(ours), np.asarray(expected)) < 1e-13


def test_layer_norm_keeps_its_digits_where_the_mean_is_large() -> None:
    """mean(x²) − mean(x)² would have no digit left."""
    x = (2.0**12 + tokens(10, 50, 64)).astype("float32")
    exact = x.astype("float64")
    exact = exact - exact.mean(axis=-1, keepdims=True)
    exact /= np.sqrt(np.square(exact).mean(axis=-1, keepdims=True) + 1e-5)
    ours = nnx.jit(lambda norm: norm(x))(LayerNorm((64,), Numerics()))
    assert distance(np.asarray(ours), exact) < 2**-12  # the mean itself is good to 2⁻¹²


def test_the_table_of_a_model_born_here_is_near_the_published_one() -> None:
    """Not equal: exponentials differ in their last bit, which 127 positions make 8e-6.

    That is more than the rounding of all else, so a converted model keeps the table it came with.
    """
    published = np.load(DATA / "positional.npz")["pe"]
    table = np.asarray(sinusoidal_table(*published.shape))
    assert table.dtype == published.dtype == np.float32
    distances = abs(table - published).max(axis=1)  # (S,)
    assert (distances <= 2.0**-22 * (1 + np.arange(512))).all()
    assert distances[:128].max() < 8e-6


def test_the_table_is_of_sines_and_cosines_and_is_not_trained() -> None:
    assert not issubclass(PositionalTable, nnx.Param)
    position, feature = np.arange(50)[:, None], np.arange(16)
    angle = position / 10000 ** ((feature - feature % 2) / 16)
    exact = np.where(feature % 2, np.cos(angle), np.sin(angle))
    assert abs(np.asarray(sinusoidal_table(50, 16)) - exact).max() < 1e-5


@settings(max_examples=20, deadline=None)
@given(fan_in=st.integers(1, 4096))
def test_initial_values_fill_pytorchs_range(fan_in: int) -> None:
    values = np.asarray(uniform_fan_in(fan_in)(jax.random.key(0), (4000,), jnp.float32))
    bound = fan_in**-0.5
    assert 0.99 * bound < abs(values).max() <= bound
    assert abs(values.mean()) < 0.05 * bound


def test_linear_layers_begin_as_in_pytorch_and_name_their_axes() -> None:
    """Uniform within ±1/√(inputs), kernel and bias; all axes that are summed over count."""
    linear = dense((4, 16), 500, ("heads", None, "embed"), Numerics(), nnx.Rngs(0))
    for array in (linear.kernel[...], linear.bias[...]):
        assert 0.97 / 8 < float(abs(array).max()) <= 1 / 8
    assert linear.kernel.get_metadata()["out_sharding"] == ("heads", None, "embed")
    assert linear.bias.get_metadata()["out_sharding"] == ("embed",)
