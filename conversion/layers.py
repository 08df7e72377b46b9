"""Every layer of the foundation model as PyTorch and as JAX compute it, in the data's order."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from torch import Tensor

from conversion.reference import SetTransformer
from sleepfm_jax.models.batch_norm import Slots
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.pooling import AttentionPooling
from sleepfm_jax.models.tokenizer import PATCH


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer on both sides.

    Attributes:
        name: in words.
        caught: the module of the reference whose input is the layer's.
        torch: the layer of the reference.
        jax: the layer of the network.
    """

    name: str
    caught: str
    torch: Callable[[SetTransformer, Tensor], Tensor]
    jax: Callable[[SleepFM, jax.Array], jax.Array]


@functools.cache
def layers(config: FoundationConfig) -> tuple[Layer, ...]:
    """The layers of a foundation model of some size."""
    return (
        Layer(
            "tokenizer", "patch_embedding", lambda net, x: net.patch_embedding(x), _tokens
        ),  # (B, C, S·640) to (B, C, S, E)
        Layer(
            "spatial pooling",
            "spatial_pooling",
            lambda net, x: net.spatial_pooling(x),
            lambda net, x: _pooled(net.spatial_pooling, x),
        ),  # (B·S, C, E) to (B·S, E)
        Layer(
            "positions and norm",
            "positional_encoding",
            lambda net, x: net.layer_norm(net.positional_encoding(x)),
            lambda net, x: net.norm(x + net.positions[...][: x.shape[1]].astype(x.dtype)),
        ),  # (B, S, E), as all that follow
        *(_encoder_layer(number) for number in range(config.num_layers)),
        Layer(
            "temporal pooling",
            "temporal_pooling",
            lambda net, x: net.temporal_pooling(x),
            lambda net, x: _pooled(net.temporal_pooling, x),
        ),  # (B, S, E) to (B, E)
    )


def _encoder_layer(number: int) -> Layer:
    return Layer(
        f"encoder layer {number + 1}",
        f"transformer_encoder.layers.{number}",
        lambda net, x: net.transformer_encoder.layers[number](x),
        lambda net, x: net.layers[number](x, jnp.ones((1, 1, x.shape[1]), bool)),
    )


def _tokens(network: SleepFM, signals: jax.Array) -> jax.Array:
    B, C, T = signals.shape
    return network.tokenizer(signals, Slots(jnp.ones((B, C, 1)), jnp.ones((B, T // PATCH), bool)))


def _pooled(pooling: AttentionPooling, tokens: jax.Array) -> jax.Array:
    return pooling(tokens, jnp.ones((*tokens.shape[:2], 1)))[:, 0]
