"""Batch norm over slots gives what PyTorch's gives in one call a modality, in modality order."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.models.batch_norm import ModalityBatchNorm, Slots
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import insert
from tests.models.small_network import distance

B, C, S, L, F = 3, 5, 4, 2, 3
K = 2  # chunks of the patches
Arrays = dict[str, np.ndarray]


def arrays() -> Arrays:
    draw = np.random.default_rng(0)
    return {
        "scale": draw.uniform(0.5, 1.5, F),
        "bias": draw.standard_normal(F),
        "mean": draw.standard_normal(F),
        "var": draw.uniform(0.5, 1.5, F),
        "count": np.asarray(7, np.int32),
    }


@functools.cache
def norm(dtype: str = "float64", param_dtype: str = "float64", **view: bool) -> Callable[..., Any]:
    """(x, modality, patches) → normalised x and the arrays afterwards."""
    numerics = Numerics(dtype, param_dtype)

    @jax.jit
    def run(x: jax.Array, modality: jax.Array, patches: jax.Array) -> Any:
        module = nnx.view(insert(lambda: ModalityBatchNorm(F, numerics), arrays()), **view)
        member = modality[..., None] == jnp.arange(4)
        slots = Slots(member, jnp.arange(S) < patches[:, None])
        chunks = jnp.moveaxis(x.reshape(B, C, K, S // K, L, F), 2, 0)
        y = module(chunks, module.statistics(chunks, slots))  # (K, B, C, S/K, L, F)
        y = jnp.moveaxis(y, 0, 2).reshape(x.shape)
        return y, nnx.to_pure_dict(nnx.state(module))

    def call(*inputs: np.ndarray) -> tuple[np.ndarray, Arrays]:
        with jax.enable_x64(param_dtype == "float64"):
            return jax.tree.map(np.asarray, run(*inputs))

    return call


def one_call_a_modality(
    x: np.ndarray, modality: np.ndarray, patches: np.ndarray
) -> tuple[np.ndarray, Arrays]:
    """PyTorch's arithmetic in NumPy, gathering what is real of one modality after the other."""
    state, y = arrays(), np.zeros_like(x)
    real = np.broadcast_to((np.arange(S) < patches[:, None])[:, None], (B, C, S))
    for m in range(4):
        chosen = (modality == m)[..., None] & real  # (B, C, S)
        values = x[chosen].reshape(-1, F)
        if not len(values):
            continue
        mean, var = values.mean(axis=0), values.var(axis=0)
        normal = (x[chosen] - mean) / np.sqrt(var + 1e-5)
        y[chosen] = normal * state["scale"] + state["bias"]
        state["mean"] = 0.9 * state["mean"] + 0.1 * mean
        state["var"] = 0.9 * state["var"] + 0.1 * values.var(axis=0, ddof=1)
        state["count"] += 1
    return y, state


tags = st.lists(st.lists(st.integers(-1, 3), min_size=C, max_size=C), min_size=B, max_size=B)
counts = st.lists(st.integers(0, S), min_size=B, max_size=B)


@settings(max_examples=30, deadline=None)
@given(
    tags=tags,
    counts=counts,
    offset=st.sampled_from([0.0, 50.0]),
    padding=st.sampled_from([0.0, 1.0, 1e100]),
)
def test_training_is_one_call_a_modality_over_what_is_real(
    tags: list[list[int]], counts: list[int], offset: float, padding: float
) -> None:
    """Outputs, running averages with the unbiased variance, counter; padding counts for nothing."""
    modality, patches = np.array(tags), np.array(counts)
    draw = np.random.default_rng(sum(map(sum, tags)) + 60)
    shift = draw.permuted(np.arange(C))[None, :, None, None, None]  # modalities differ
    x = draw.standard_normal((B, C, S, L, F)) * (1 + shift) + shift + offset
    real = (modality >= 0)[..., None] & (np.arange(S) < patches[:, None])[:, None]
    x = np.where(real[..., None, None], x, padding)
    y, state = norm()(x, modality, patches)
    expected, expected_state = one_call_a_modality(x, modality, patches)
    np.testing.assert_allclose(y[real], expected[real], rtol=1e-10, atol=1e-10)
    for name in ("mean", "var"):
        np.testing.assert_allclose(state[name], expected_state[name], rtol=1e-12)
    assert state["count"] == expected_state["count"]


def test_modalities_update_in_their_order() -> None:
    """The last has the largest share: 0.1 of EMG's mean, 0.09 of EKG's."""
    modality = np.array([[0, 1, 2, 3, -1]] * B)
    x = np.broadcast_to(10.0 ** np.arange(C)[None, :, None, None, None], (B, C, S, L, F))
    _, state = norm()(x, modality, np.full(B, S))
    shares = 0.1 * 0.9 ** np.arange(4)[::-1]
    expected = 0.9**4 * arrays()["mean"] + (shares * 10.0 ** np.arange(4)).sum()
    np.testing.assert_allclose(state["mean"], expected, rtol=1e-12)
    assert state["count"] == 7 + 4


def test_inference_uses_the_running_statistics_and_keeps_them() -> None:
    x = np.random.default_rng(1).standard_normal((B, C, S, L, F))
    y, state = norm(use_running_average=True)(x, np.zeros((B, C), int), np.full(B, S))
    a = arrays()
    expected = (x - a["mean"]) / np.sqrt(a["var"] + 1e-5) * a["scale"] + a["bias"]
    assert distance(y, expected) < 1e-14
    for name, array in a.items():
        np.testing.assert_array_equal(state[name], array)


def test_float32_statistics_of_a_large_mean_keep_their_digits() -> None:
    """Two passes: mean(x²) − mean(x)² would have no digit of the variance left."""
    modality, patches = np.zeros((B, C), int), np.full(B, S)
    x = 2.0**12 + np.random.default_rng(2).standard_normal((B, C, S, L, F))
    x = x.astype("float32").astype("float64")
    _, state = norm("float32", "float32")(x.astype("float32"), modality, patches)
    _, expected = one_call_a_modality(x, modality, patches)
    assert distance(state["var"], expected["var"]) < 1e-6
    assert distance(state["mean"], expected["mean"]) < 1e-6


def test_bfloat16_keeps_its_statistics_in_float32() -> None:
    modality, patches = np.array([[0, 1, 2, 3, -1]] * B), np.full(B, S)
    x = np.random.default_rng(3).standard_normal((B, C, S, L, F)) + 3
    x = np.asarray(jnp.asarray(x, jnp.bfloat16))
    y, state = norm("bfloat16", "float32")(x, modality, patches)
    expected, expected_state = one_call_a_modality(x.astype("float64"), modality, patches)
    assert y.dtype == jnp.bfloat16
    assert state["mean"].dtype == state["var"].dtype == np.float32
    assert distance(state["var"], expected_state["var"]) < 1e-6
    assert distance(y[:, :4].astype("float64"), expected[:, :4]) < 2**-8
