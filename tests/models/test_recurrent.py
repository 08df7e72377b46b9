"""The bidirectional LSTM: PyTorch's packed sequences, whatever stands beyond a night's end."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.recurrent import BidirectionalLSTM
from sleepfm_jax.models.weights import insert
from tests.models.small_network import distance, random_arrays

B, T, W, H, LAYERS = 3, 9, 6, 4, 2
NAMES = {
    "input_kernel": "weight_ih",
    "recurrent_kernel": "weight_hh",
    "input_bias": "bias_ih",
    "recurrent_bias": "bias_hh",
}
lengths = st.lists(st.integers(1, T), min_size=B, max_size=B).map(np.array)


def build(dropout: float = 0.0, dtype: str = "float64") -> BidirectionalLSTM:
    return BidirectionalLSTM(W, H, LAYERS, dropout, Numerics(dtype, dtype), rngs=nnx.Rngs(0))


@functools.cache
def arrays() -> dict[str, np.ndarray]:
    return random_arrays(lambda: build(dtype="float32"))


@functools.cache
def ours() -> Callable[..., Any]:
    """(x, steps) → outputs, and the gradients of their weighted sum by weights and x."""
    with jax.enable_x64(True):
        graph, state, rest = nnx.split(insert(build, arrays()), nnx.Param, ...)
        share = np.cos(np.arange(2 * H))

        def total(state: nnx.State, x: jax.Array, steps: jax.Array) -> Any:
            out = nnx.merge(graph, state, rest)(x, steps)
            return (out * share).sum(), out

        run = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))

    def call(x: np.ndarray, steps: np.ndarray) -> Any:
        with jax.enable_x64(True):
            (_, out), (by_weights, by_x) = run(state, x, steps)
            return np.asarray(out), by_weights, np.asarray(by_x)

    return call


@functools.cache
def theirs() -> torch.nn.LSTM:
    lstm = torch.nn.LSTM(W, H, LAYERS, batch_first=True, bidirectional=True).double()
    state = {}
    for path, array in arrays().items():
        _, layer, direction, kind = path.split(".")
        name = f"{NAMES[kind]}_l{layer}" + ("_reverse" if direction == "backward" else "")
        state[name] = torch.from_numpy(array.T.copy())
    lstm.load_state_dict(state)
    return lstm


def packed(x: torch.Tensor, steps: np.ndarray) -> torch.Tensor:
    sequence = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.from_numpy(steps), batch_first=True, enforce_sorted=False
    )
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(
        theirs()(sequence)[0], batch_first=True, total_length=T
    )
    return out


def nights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((B, T, W))


@settings(max_examples=15, deadline=None)
@given(steps=lengths, seed=st.integers(0, 999))
def test_outputs_and_gradients_equal_packed_sequences(steps: np.ndarray, seed: int) -> None:
    x = torch.from_numpy(nights(seed)).requires_grad_()
    expected = packed(x, steps)
    theirs().zero_grad()
    (expected * torch.from_numpy(np.cos(np.arange(2 * H)))).sum().backward()
    out, by_weights, by_x = ours()(nights(seed), steps)
    assert distance(out, expected.detach().numpy()) < 1e-13
    assert distance(by_x, x.grad.numpy()) < 1e-12
    for layer in range(LAYERS):
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            gradients = by_weights["layers"][layer][direction]
            for kind, name in NAMES.items():
                grad = getattr(theirs(), f"{name}_l{layer}{suffix}").grad
                found = np.asarray(gradients[kind][...]).T  # zeros if all nights are one step long
                np.testing.assert_allclose(found, grad.numpy(), rtol=1e-10, atol=1e-13)


@settings(max_examples=10, deadline=None)
@given(steps=lengths, filling=st.sampled_from([0.0, -3.0, 1e30]), seed=st.integers(0, 999))
def test_what_lies_beyond_the_end_does_not_matter(
    steps: np.ndarray, filling: float, seed: int
) -> None:
    x = nights(seed)
    beyond = np.arange(T) >= steps[:, None]
    out, _, _ = ours()(x, steps)
    filled, _, by_x = ours()(np.where(beyond[..., None], filling, x), steps)
    np.testing.assert_array_equal(filled, out)
    assert not filled[beyond].any()
    assert not by_x[beyond].any()


def test_a_night_without_steps_is_zeros() -> None:
    out, _, by_x = ours()(nights(0), np.array([0, T, 3]))
    assert not out[0].any()
    assert not by_x[0].any()
    assert out[1].all()


def test_dropout_acts_between_layers_only() -> None:
    """At a rate near one the second layer sees (almost) nothing but its biases."""
    module = insert(lambda: build(0.5, "float32"), arrays())
    x, steps = nights(1).astype("float32"), np.full(B, T)
    run = nnx.jit(lambda module: (module.layers[0](x, np.ones((B, T), bool)), module(x, steps)))
    (first, one), (again, other) = run(module), run(module)
    np.testing.assert_array_equal(first, again)  # within a layer nothing is dropped
    assert (np.asarray(one) != np.asarray(other)).all()  # no zeros: the last is not dropped
    _, evaluated = run(nnx.view(module, deterministic=True))
    with jax.enable_x64(True):
        expected, _, _ = ours()(nights(1), steps)
    assert distance(np.asarray(evaluated, np.float64), expected) < 1e-6


def test_initial_values_are_pytorchs() -> None:
    """All uniform within ±1/√H, whatever comes in."""
    module = BidirectionalLSTM(50, 16, 1, 0.0, Numerics(), rngs=nnx.Rngs(0))
    for value in jax.tree.leaves(nnx.state(module, nnx.Param)):
        assert 0.9 / 4 < float(abs(value).max()) <= 1 / 4
