"""The foundation model's laws: a recording's numbers depend on nothing but the recording.

Two shapes are compiled: a recording alone in an array that just fits it, and a batch with room.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.models.dropout import kept
from sleepfm_jax.models.foundation import SleepFM
from sleepfm_jax.models.tokenizer import PATCH
from sleepfm_jax.models.weights import insert
from tests.models import small_network
from tests.models.small_network import distance

B, C, S = ROOMY = (3, 8, 3)
TIGHT = (1, 6, 2)
FLOAT64 = 1e-12
FLOAT32 = 2e-6  # rounding: a few units of the last of 24 bits
FILLINGS = (0.0, 1.0, 1e30, 1e308, np.inf, np.nan)

slots = st.integers(-1, 3)
batch_of_slots = st.lists(st.lists(slots, min_size=C, max_size=C), min_size=B, max_size=B)
montages = batch_of_slots.map(np.array).filter(lambda tags: tags.max() >= 0)
counts = st.lists(st.integers(1, S), min_size=B, max_size=B).map(np.array)
fillings = st.sampled_from(FILLINGS)
few = settings(max_examples=15, deadline=None)


def filled(
    signals: np.ndarray, modality: np.ndarray, patches: np.ndarray, value: float
) -> np.ndarray:
    """The signals with `value` in every empty slot and in all patches that are not real."""
    time = np.arange(signals.shape[-1]) // PATCH
    padding = (modality < 0)[:, :, None] | (time >= patches[:, None])[:, None]
    return np.where(padding, value, signals)


def present(modality: np.ndarray) -> np.ndarray:
    return np.array([[m in tags for m in range(4)] for tags in modality])


@pytest.mark.parametrize(("dtype", "bound"), [("float64", FLOAT64), ("float32", FLOAT32)])
@few
@given(
    own=st.lists(slots, min_size=6, max_size=6).filter(lambda tags: max(tags) >= 0),
    modality=montages,
    patches=counts,
    filling=fillings,
    scale=st.sampled_from([1.0, 1e4]),
    row=st.integers(0, B - 1),
)
def test_a_recording_is_the_same_alone_and_among_neighbours(
    dtype: str,
    bound: float,
    own: list[int],
    modality: np.ndarray,
    patches: np.ndarray,
    filling: float,
    scale: float,
    row: int,
) -> None:
    """Also where neighbours have more channels and patches, so that it gets padding."""
    signals = scale * small_network.signals(1, *ROOMY)
    recording = small_network.signals(2, *TIGHT)
    alone = small_network.embed(dtype)(recording, np.array([own]))
    signals[row, :6, : 2 * PATCH] = recording
    modality[row] = [*own, -1, -1]
    patches[row] = 2
    among = small_network.embed(dtype)(
        filled(signals, modality, patches, filling), modality, patches
    )
    assert distance(among.pooled[row], alone.pooled[0]) < bound
    assert distance(among.sequence[row, :, :2], alone.sequence[0]) < bound
    np.testing.assert_array_equal(among.present[row], alone.present[0])


@few
@given(modality=montages, others=montages, patches=counts, scale=st.sampled_from([0.0, 1.0, 1e30]))
def test_neighbours_change_no_bit(
    modality: np.ndarray, others: np.ndarray, patches: np.ndarray, scale: float
) -> None:
    signals = small_network.signals(3, *ROOMY)
    embed = small_network.embed()
    before = embed(signals, modality, patches)
    signals[1:] *= -scale
    others[0] = modality[0]
    after = embed(signals, others, np.append(patches[:1], patches[:0:-1]))
    for kind in before._fields:
        np.testing.assert_array_equal(getattr(after, kind)[0], getattr(before, kind)[0])


@few
@given(modality=montages, patches=counts, filling=fillings)
def test_what_padding_holds_changes_no_bit(
    modality: np.ndarray, patches: np.ndarray, filling: float
) -> None:
    signals = small_network.signals(4, *ROOMY)
    embed = small_network.embed()
    before = embed(signals, modality, patches)
    after = embed(filled(signals, modality, patches, filling), modality, patches)
    jax.tree.map(np.testing.assert_array_equal, after, before)


@few
@given(modality=montages, order=st.permutations(range(C)), patches=counts)
def test_the_order_of_slots_changes_nothing(
    modality: np.ndarray, order: list[int], patches: np.ndarray
) -> None:
    signals = small_network.signals(5, *ROOMY)
    embed = small_network.embed()
    before = embed(signals, modality, patches)
    after = embed(signals[:, order], modality[:, order], patches)
    assert distance(after.pooled, before.pooled) < FLOAT64
    assert distance(after.sequence, before.sequence) < FLOAT64
    np.testing.assert_array_equal(after.present, before.present)


@few
@given(modality=batch_of_slots.map(np.array), patches=counts)
def test_absent_modalities_and_patches_are_zeros(modality: np.ndarray, patches: np.ndarray) -> None:
    out = small_network.embed()(small_network.signals(6, *ROOMY), modality, patches)
    there = present(modality)
    real = np.arange(S) < patches[:, None]  # (B, S)
    np.testing.assert_array_equal(out.present, there)
    np.testing.assert_array_equal(out.pooled.any(axis=-1), there)
    np.testing.assert_array_equal(out.sequence.any(axis=-1), there[..., None] & real[:, None])


def test_a_single_channel_passes_its_token_through_among_others() -> None:
    """Another pooling over channels changes only modalities of two channels and more."""
    modality = np.array(
        [
            [0, 0, 1, 2, 3, 3, -1, -1],
            [0, 1, 1, 1, 3, -1, -1, -1],
            [-1, 2, 2, -1, -1, 0, -1, 2],
        ]
    )
    several = np.array([[(tags == m).sum() > 1 for m in range(4)] for tags in modality])
    signals = small_network.signals(7, *ROOMY)
    before = small_network.embed()(signals, modality)
    after = small_network.embed(changed="spatial_pooling")(signals, modality)
    np.testing.assert_array_equal((after.pooled != before.pooled).any(axis=-1), several)
    np.testing.assert_array_equal((after.sequence != before.sequence).any(axis=(2, 3)), several)


@pytest.mark.parametrize("samples", [0, 1, PATCH - 1, PATCH + 1, 61 * PATCH])
def test_windows_of_other_lengths_are_refused(samples: int) -> None:
    modality = jnp.zeros((1, 1), int)
    with pytest.raises(ValueError, match=f"window of {samples} samples is not 1 to 60 patches"):
        nnx.eval_shape(lambda: small_network.blank()(jnp.zeros((1, 1, samples)), modality))


@pytest.mark.parametrize(
    ("modality", "patches"),
    [
        ([[0, 0, 1, 2, 3, 3, 1, -1], [-1] * C, [2] + [-1] * 7], [3, 3, 1]),
        ([[-1] * C] * B, [3, 2, 1]),
        ([[1, 1] + [-1] * 6, [3, -1, -1, 3, -1, 3, -1, 0], [-1, 0] + [-1] * 6], [1, 1, 2]),
    ],
    ids=["one recording empty", "all recordings empty", "modalities missing"],
)
def test_training_neither_sees_nor_needs_what_is_not_there(
    modality: list[list[int]], patches: list[int]
) -> None:
    """Outputs, batch statistics and gradients are finite and do not know what padding holds."""
    tags, count = np.array(modality), np.array(patches)
    signals = small_network.signals(8, *ROOMY)
    train_once = small_network.train_once()
    out, statistics, gradients, of_signals = train_once(signals, tags, count)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((out, gradients, of_signals)))
    assert any(leaf.any() for leaf in jax.tree.leaves(gradients)) == (tags.max() >= 0)
    real = filled(np.ones_like(signals), tags, count, 0.0)
    np.testing.assert_array_equal(of_signals != 0, real != 0)
    assert not out.pooled[~present(tags)].any()
    for filling in FILLINGS:
        result = train_once(filled(signals, tags, count, filling), tags, count)
        jax.tree.map(
            np.testing.assert_array_equal, result, (out, statistics, gradients, of_signals)
        )


def test_every_parameter_learns() -> None:
    modality = np.array([[0, 0, 1, 2, 3, 3, 1, -1]] * B)
    signals = small_network.signals(9, *ROOMY)
    _, _, gradients, _ = small_network.train_once()(signals, modality, np.full(B, S))
    for path, gradient in nnx.to_flat_state(gradients):
        assert gradient[...].any(), path


def masks(network: nnx.Module) -> list[tuple[int, ...]]:
    """The shape of every random mask that one call of the model draws."""
    graph, state = nnx.split(network)
    inputs = jnp.zeros((B, C, S * PATCH)), jnp.zeros((B, C), int)
    traced = jax.make_jaxpr(lambda state, *inputs: nnx.merge(graph, state)(*inputs))(state, *inputs)
    return sorted(drawn(traced.jaxpr))


def drawn(jaxpr: Any) -> Iterator[tuple[int, ...]]:
    for equation in jaxpr.eqns:
        if equation.params.get("name") == kept.__name__:
            yield equation.outvars[0].aval.shape
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from drawn(inner)


def test_training_drops_out_at_four_sites_of_every_layer_and_inference_nowhere() -> None:
    """Attention weights, after attention, inside the feed-forward, after it (spec §1)."""
    E, F, channel_sets, windows = 32, 64, B * S, B * 4
    spatial = [(channel_sets, 2, C, C), *[(channel_sets, C, E)] * 2, (channel_sets, C, F)]
    over_time = [*[(windows, S, E)] * 2, (windows, S, F)]
    layer, temporal = [(windows, 4, S, S), *over_time], [(windows, 2, S, S), *over_time]
    network = small_network.model("float32")
    assert masks(network) == sorted(spatial + 2 * layer + temporal)
    assert masks(nnx.view(network, deterministic=True)) == []


def test_bfloat16_is_float32_to_its_eight_bits() -> None:
    modality = np.array([[0, 0, 1, 2, 3, 3, -1, -1], [0, 1] * 4, [2, -1, 3, -1, -1, 0, -1, -1]])
    signals = small_network.signals(10, *ROOMY)
    patches = np.array([3, 2, 1])
    half = small_network.embed("bfloat16", "float32")(signals, modality, patches)
    full = small_network.embed("float32")(signals, modality, patches)
    assert half.pooled.dtype == half.sequence.dtype == jnp.bfloat16
    for kind in ("pooled", "sequence"):
        error = distance(getattr(half, kind).astype(np.float32), getattr(full, kind))
        assert 2**-12 < error < 2**-5
    parameters = nnx.state(small_network.model("bfloat16", "float32"), nnx.Param)
    assert {leaf.dtype for leaf in jax.tree.leaves(parameters)} == {np.dtype("float32")}


def rematerialised(remat: bool) -> int:
    """How many parts of the model the backward pass is to compute again."""
    build = lambda: SleepFM(small_network.CONFIG, remat=remat, rngs=nnx.Rngs(0))  # noqa: E731
    graph, state = nnx.split(insert(build, small_network.weights()))
    inputs = jnp.zeros((B, C, S * PATCH)), jnp.zeros((B, C), int)
    traced = jax.make_jaxpr(lambda state, *inputs: nnx.merge(graph, state)(*inputs))(state, *inputs)
    return sum(
        equation.primitive.name.startswith(("remat", "checkpoint")) for equation in traced.eqns
    )


def test_remat_is_of_every_block_and_layer_and_by_choice() -> None:
    """Seven stretches of the tokenizer between batch statistics, both poolings, each layer."""
    assert rematerialised(True) == 7 + 2 + small_network.CONFIG.num_layers
    assert rematerialised(False) == 0
