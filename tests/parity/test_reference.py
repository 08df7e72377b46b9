"""The PyTorch reference against the golden numbers, and the network against the reference."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.checkpoints import Checkpoint
from conversion.models import create_checkpoint, import_checkpoint, load_reference
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import insert
from sleepfm_jax.saved_model import SavedModel
from tests import golden
from tests.parity.test_foundation import BASE, INPUTS


@functools.cache
def reference() -> torch.nn.Module:
    return load_reference(golden.saved_model("float64"))


def small_model() -> SavedModel:
    """A foundation model of one layer in float64: training it compiles in seconds."""
    config = FoundationConfig(embed_dim=32, num_heads=4, num_layers=1, pooling_heads=2)
    checkpoint = create_checkpoint(config, seed=3)
    doubled = {
        key: value.astype("float64") if value.dtype == np.float32 else value
        for key, value in checkpoint.state_dict.items()
    }
    return import_checkpoint(Checkpoint(doubled, None, {}), config, {})


@pytest.mark.parametrize("tag", INPUTS)
def test_reference_equals_the_published_model(tag: str) -> None:
    B, C, S = INPUTS[tag]
    padded = BASE[f"{tag}/mask"]
    signals = golden.signal(f"input/{tag}", B, C, S * 640) * ~padded[..., None]
    with torch.no_grad():
        out = reference()(
            torch.from_numpy(signals), torch.from_numpy(padded) if padded.any() else None
        )
    for kind, array in zip(("pooled", "sequence"), out, strict=True):
        assert golden.error(array.numpy(), BASE[f"{tag}/{kind}"]) < 1e-13


@settings(max_examples=10, deadline=None)
@given(
    slots=st.lists(st.integers(-1, 3), min_size=7, max_size=7).filter(lambda s: max(s) >= 0),
    S=st.sampled_from([1, 5]),
    seed=st.integers(0, 999),
)
def test_any_montage_equals_one_reference_call_a_modality(
    slots: list[int], S: int, seed: int
) -> None:
    signals = np.random.default_rng(seed).standard_normal((1, len(slots), S * 640))
    modality = np.array(slots)
    with jax.enable_x64(True):
        out = golden.network("float64")(signals, modality[None])
    torch_network = reference()
    for m in range(4):
        assert bool(out.present[0, m]) == (m in slots)
        if m in slots:
            with torch.no_grad():
                pooled, sequence = torch_network(torch.from_numpy(signals[:, modality == m]))
            assert golden.error(out.pooled[:, m], pooled.numpy()) < 1e-12
            assert golden.error(out.sequence[:, m], sequence.numpy()) < 1e-12


def test_training_statistics_and_gradients_equal_one_call_a_modality() -> None:
    """One call over all slots trains as PyTorch's four calls do, dropout off.

    Held are batch statistics, their running averages (unbiased variance, modality order), counters
    and gradients.
    """
    channels, B, S = (3, 2, 1, 2), 4, 6
    signals = [golden.signal(f"train/0/{m}", B, C, S * 640) for m, C in enumerate(channels)]
    saved = small_model()
    torch_network = load_reference(saved).train()
    for module in torch_network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    weights = [golden.signal(f"weights/{m}", B, 32) for m in range(4)]
    loss = sum(
        (torch_network(torch.from_numpy(x))[0] * torch.from_numpy(w)).sum()
        for x, w in zip(signals, weights, strict=True)
    )
    loss.backward()

    with jax.enable_x64(True):
        numerics = Numerics("float64", "float64")
        network = insert(lambda: SleepFM(saved.config, numerics, rngs=nnx.Rngs(0)), saved.weights)
        network = nnx.view(network, deterministic=True)
        modality = jnp.repeat(jnp.arange(4), jnp.array(channels))[None].repeat(B, axis=0)
        graph, params, rest = nnx.split(network, nnx.Param, ...)

        def total(params: nnx.State) -> tuple[jax.Array, nnx.State]:
            model = nnx.merge(graph, params, rest, copy=True)
            pooled = model(jnp.asarray(np.concatenate(signals, axis=1)), modality).pooled
            weighted = (pooled * jnp.asarray(np.stack(weights, axis=1))).sum()
            return weighted, nnx.state(model, nnx.BatchStat)

        (value, statistics), gradients = jax.jit(jax.value_and_grad(total, has_aux=True))(params)
        assert float(value) == pytest.approx(loss.item(), rel=1e-12)
        for n, block in enumerate(statistics["tokenizer"]["blocks"].values()):
            expected = torch_network.patch_embedding.tokenizer[4 * n + 1]
            norm = block["batch_norm"]
            assert golden.error(norm["mean"][...], expected.running_mean.numpy()) < 1e-12
            assert golden.error(norm["var"][...], expected.running_var.numpy()) < 1e-12
            assert int(norm["count"][...]) == int(expected.num_batches_tracked) == 4
        checked = {
            "tokenizer.0": (
                gradients["tokenizer"]["blocks"][0]["conv"]["kernel"][...].transpose(2, 1, 0),
                torch_network.patch_embedding.tokenizer[0].weight,
            ),
            "spatial": (
                gradients["spatial_pooling"]["layer"]["up"]["kernel"][...].T,
                torch_network.spatial_pooling.transformer_layer.linear1.weight,
            ),
            "layers.0": (
                gradients["layers"][0]["attention"]["out"]["kernel"][...].reshape(32, 32).T,
                torch_network.transformer_encoder.layers[0].self_attn.out_proj.weight,
            ),
        }
        for name, (ours, theirs) in checked.items():
            assert golden.error(ours, theirs.grad.numpy()) < 1e-10, name
