"""Bottlenecks: convolutions, pools and norms as PyTorch has them, dropout where it belongs."""

import functools
from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sleepfm_jax.models.batch_norm import BatchNorm
from sleepfm_jax.models.bottleneck import Bottleneck, convolved, max_pool
from sleepfm_jax.models.layers import Numerics

DOUBLE = Numerics("float64", "float64")


@jax.jit
def both_strides(x: jax.Array, kernel: jax.Array, share: jax.Array) -> Any:
    """Of strides 1 and 2: values, and gradients of input and kernel for the shares."""

    def both(stride: int) -> Any:
        out, pull = jax.vjp(functools.partial(convolved, stride=stride), x, kernel)
        return out, pull(share[:, : out.shape[1]])

    return both(1), both(2)


@settings(max_examples=3, deadline=None)
@given(pairs=st.integers(1, 5), features=st.integers(1, 3), seed=st.integers(0, 999))
def test_depthwise_convolutions_are_pytorchs(pairs: int, features: int, seed: int) -> None:
    """Values, and gradients of input and kernel."""
    draw = np.random.default_rng(seed)
    shapes = ((2, 2 * pairs, features), (3, features), (2, 2 * pairs, features))
    *inputs, share = (draw.standard_normal(shape) for shape in shapes)
    with jax.enable_x64(True):
        ours = both_strides(*inputs, share)
    for stride, (out, gradients) in enumerate(ours, start=1):
        x, kernel = given = [torch.from_numpy(a.copy()).requires_grad_() for a in inputs]
        expected = functional.conv1d(x.mT, kernel.T[:, None], None, stride, 1, groups=features).mT
        (expected * torch.from_numpy(share[:, : out.shape[1]])).sum().backward()
        np.testing.assert_allclose(out, expected.detach().numpy(), atol=1e-14)
        for gradient, theirs in zip(gradients, given, strict=True):
            assert theirs.grad is not None
            np.testing.assert_allclose(gradient, theirs.grad.numpy(), atol=1e-13)


@jax.jit
def pooled_and_gradient(x: jax.Array, share: jax.Array) -> tuple[jax.Array, jax.Array]:
    pooled, pull = jax.vjp(lambda x: max_pool(x[None, :, None])[0, :, 0], x)
    return pooled, pull(share)[0]


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.integers(-2, 2), min_size=6, max_size=6))
def test_max_pools_are_pytorchs_where_values_are_equal_too(values: list[int]) -> None:
    x = np.array(values, np.float32)
    share = np.arange(1.0, len(x) + 1, dtype=np.float32)
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    expected = functional.max_pool1d(theirs[None, None], 3, 1, 1)[0, 0]
    (expected * torch.from_numpy(share)).sum().backward()
    pooled, gradient = pooled_and_gradient(x, share)
    np.testing.assert_array_equal(pooled, expected.detach().numpy())
    assert theirs.grad is not None
    np.testing.assert_array_equal(gradient, theirs.grad.numpy())


@functools.partial(jax.jit, static_argnames="running")
def normalised(norm: nnx.State, x: jax.Array, running: bool = False) -> tuple[jax.Array, Any]:
    """Values and the norm's new arrays."""
    with nnx.use_eager_sharding(False):
        module = nnx.view(BatchNorm(x.shape[-1], DOUBLE), use_running_average=running)
    nnx.update(module, norm)
    return module(x), nnx.state(module)


@settings(max_examples=5, deadline=None)
@given(steps=st.integers(1, 3), seed=st.integers(0, 999))
def test_batch_norm_is_pytorchs_and_so_are_its_running_statistics(steps: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    theirs = torch.nn.BatchNorm1d(3).double()
    with jax.enable_x64(True):
        state = nnx.state(BatchNorm(3, DOUBLE))
        for _ in range(steps):
            x = 3 + 2 * draw.standard_normal((2, 3, 3))
            out, state = normalised(state, x)
            expected = theirs(torch.from_numpy(x).mT).mT.detach().numpy()
            np.testing.assert_allclose(out, expected, atol=1e-12)
        running, kept = normalised(state, x, running=True)
    for found in (state, kept):
        np.testing.assert_allclose(found["mean"][...], theirs.running_mean, atol=1e-14)
        np.testing.assert_allclose(found["var"][...], theirs.running_var, atol=1e-14)
        assert int(found["count"][...]) == int(theirs.num_batches_tracked) == steps
    expected = theirs.eval()(torch.from_numpy(x).mT).mT.detach().numpy()
    np.testing.assert_allclose(running, expected, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_dropout_is_before_the_sum_of_residual_bottlenecks_alone(stride: int) -> None:
    """What is dropped leaves what came in: half of the values, the others are twice as far."""

    @jax.jit
    def with_and_without(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        block = Bottleneck(4, 4, 2, stride, 0.5, Numerics(), rngs=nnx.Rngs(0))
        return block(x), nnx.view(block, raise_if_not_found=False, deterministic=True)(x)

    x = np.random.default_rng(0).standard_normal((8, 128, 4)).astype(np.float32)
    added, kept = map(np.asarray, with_and_without(x))
    if stride == 2:
        np.testing.assert_array_equal(added, kept)
        return
    added, kept = added - x, kept - x
    dropped = added == 0
    assert 0.45 < dropped.mean() < 0.55
    np.testing.assert_allclose(added[~dropped], 2 * kept[~dropped], rtol=1e-3, atol=1e-5)
