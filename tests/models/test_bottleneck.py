"""Bottlenecks: convolutions, pools and norms as PyTorch has them, dropout where it belongs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sleepfm_jax.models.batch_norm import BatchNorm
from sleepfm_jax.models.bottleneck import Bottleneck, DepthwiseConv, max_pool
from sleepfm_jax.models.layers import Numerics

DOUBLE = Numerics("float64", "float64")


@settings(max_examples=4, deadline=None)
@given(
    pairs=st.integers(1, 5),
    features=st.integers(1, 3),
    stride=st.sampled_from([1, 2]),
    seed=st.integers(0, 999),
)
def test_depthwise_convolutions_are_pytorchs(
    pairs: int, features: int, stride: int, seed: int
) -> None:
    """Values, and gradients of input, kernel and bias."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((2, 2 * pairs, features))
    with jax.enable_x64(True):
        conv = DepthwiseConv(features, stride, DOUBLE, rngs=nnx.Rngs(seed))
        out = conv(jnp.asarray(x))
        share = draw.standard_normal(out.shape)
        of_conv, of_x = nnx.grad(lambda m, x: (m(x) * share).sum(), argnums=(0, 1))(
            conv, jnp.asarray(x)
        )
    kernel, bias = np.asarray(conv.kernel[...]), np.asarray(conv.bias[...])
    given = [torch.from_numpy(np.array(a)).requires_grad_() for a in (x, kernel, bias)]
    expected = functional.conv1d(
        given[0].mT, given[1].T[:, None], given[2], stride, 1, groups=features
    ).mT
    (expected * torch.from_numpy(share)).sum().backward()
    np.testing.assert_allclose(out, expected.detach().numpy(), atol=1e-14)
    found = (of_x, of_conv["kernel"][...], of_conv["bias"][...])
    for ours, theirs in zip(found, given, strict=True):
        assert theirs.grad is not None
        np.testing.assert_allclose(ours, theirs.grad.numpy(), atol=1e-13)


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.integers(-2, 2), min_size=6, max_size=6))
def test_max_pools_are_pytorchs_where_values_are_equal_too(values: list[int]) -> None:
    x = np.array(values, np.float32)
    share = np.arange(1.0, len(x) + 1, dtype=np.float32)
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    expected = functional.max_pool1d(theirs[None, None], 3, 1, 1)[0, 0]
    (expected * torch.from_numpy(share)).sum().backward()
    pooled, pull = jax.vjp(lambda x: max_pool(x[None, :, None])[0, :, 0], jnp.asarray(x))
    np.testing.assert_array_equal(pooled, expected.detach().numpy())
    assert theirs.grad is not None
    np.testing.assert_array_equal(pull(jnp.asarray(share))[0], theirs.grad.numpy())


@settings(max_examples=5, deadline=None)
@given(steps=st.integers(1, 3), features=st.integers(1, 3), seed=st.integers(0, 999))
def test_batch_norm_is_pytorchs_and_so_are_its_running_statistics(
    steps: int, features: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    theirs = torch.nn.BatchNorm1d(features).double()
    with jax.enable_x64(True):
        ours = BatchNorm(features, DOUBLE)
        for _ in range(steps):
            x = 3 + 2 * draw.standard_normal((2, 3, features))
            out = ours(jnp.asarray(x))
            expected = theirs(torch.from_numpy(x).mT).mT.detach().numpy()
            np.testing.assert_allclose(out, expected, atol=1e-12)
        running = nnx.view(ours, use_running_average=True)(jnp.asarray(x))
        np.testing.assert_allclose(ours.mean[...], theirs.running_mean, atol=1e-14)
        np.testing.assert_allclose(ours.var[...], theirs.running_var, atol=1e-14)
        assert int(ours.count[...]) == int(theirs.num_batches_tracked) == steps
        expected = theirs.eval()(torch.from_numpy(x).mT).mT.detach().numpy()
        np.testing.assert_allclose(running, expected, atol=1e-12)
    assert nnx.view(ours, use_running_average=True).use_running_average


@pytest.mark.parametrize("stride", [1, 2])
def test_dropout_is_before_the_sum_of_residual_bottlenecks_alone(stride: int) -> None:
    """What is dropped leaves what came in: half of the values, the others are twice as far."""
    block = Bottleneck(4, 4, 2, stride, 0.5, Numerics(), rngs=nnx.Rngs(0))
    still = nnx.view(block, raise_if_not_found=False, deterministic=True)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((8, 128, 4)), jnp.float32)
    added, kept = block(x), still(x)
    if stride == 2:
        np.testing.assert_array_equal(added, kept)
        return
    added, kept = np.asarray(added - x), np.asarray(kept - x)
    dropped = added == 0
    assert 0.45 < dropped.mean() < 0.55
    np.testing.assert_allclose(added[~dropped], 2 * kept[~dropped], rtol=1e-3, atol=1e-5)
