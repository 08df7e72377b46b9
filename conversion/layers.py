"""Every layer of a model as PyTorch and as JAX compute it, in the data's order."""

import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from torch import Tensor

from sleepfm_jax.models.batch_norm import Slots
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.kinds import Config
from sleepfm_jax.models.pooling import AttentionPooling
from sleepfm_jax.models.sleep_stager import StagingConfig
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
    torch: Callable[[Any, Tensor], Tensor]
    jax: Callable[[Any, jax.Array], jax.Array]


@functools.cache
def layers(config: Config) -> tuple[Layer, ...]:
    """The layers of a model of some kind and size."""
    if isinstance(config, FoundationConfig):
        return (TOKENIZER, SPATIAL_POOLING, POSITIONS, *_encoder(config), TEMPORAL_POOLING)
    if isinstance(config, StagingConfig):
        return (SPATIAL_POOLING, POSITIONS, *_encoder(config), STAGING_LSTM, STAGES)
    if isinstance(config, SupervisedEffNetConfig):
        return _tower("", len(config.depths))
    if isinstance(config, EffNetConfig):
        stages = len(config.depths)
        return tuple(layer for name in config.channels for layer in _tower(f"{name}.", stages))
    if isinstance(config, DemographicRiskConfig):
        return (_demographics(lambda net: net), _hazards(lambda net: net))
    pooled: tuple[Layer, ...] = (SPATIAL_POOLING,)
    if isinstance(config, SupervisedRiskConfig):
        pooled = (TOKENIZER, SPATIAL_POOLING)
    known = (_demographics(lambda net: net.risk),) if config.demographics else ()
    return (*pooled, RISK_LSTM, *known, _hazards(lambda net: net.risk))


def _encoder(config: FoundationConfig | StagingConfig) -> tuple[Layer, ...]:
    return tuple(_encoder_layer(number) for number in range(config.num_layers))


def _encoder_layer(number: int) -> Layer:
    return Layer(
        f"encoder layer {number + 1}",
        f"transformer_encoder.layers.{number}",
        lambda net, x: net.transformer_encoder.layers[number](x),
        lambda net, x: net.layers[number](x, jnp.ones((1, 1, x.shape[1]), bool)),
    )


def _tower(begin: str, stages: int) -> tuple[Layer, ...]:
    """The layers of a tower of the ICML 2024 system; PyTorch has features before the length."""
    tower: Callable[[Any], Any] = operator.attrgetter(begin[:-1]) if begin else lambda net: net
    name = begin.replace(".", " ")

    def stage(number: int) -> Layer:
        return Layer(
            f"{name}stage {number + 1}",
            f"{begin}stage{number + 2}",
            lambda net, x: tower(net).stage(number, x),
            lambda net, x: tower(net).stage(number, x.swapaxes(1, 2)).swapaxes(1, 2),
        )  # (B, I, L) to (B, O, L/2)

    stem = Layer(
        f"{name}stem",
        f"{begin}stage1",
        lambda net, x: tower(net).b0(tower(net).stage1(x)),
        lambda net, x: tower(net).begin(x).swapaxes(1, 2),
    )  # (B, C, T) to (B, W, T/2)
    head = Layer(
        f"{name}head",
        f"{begin}stage9",
        lambda net, x: tower(net).head(x),
        lambda net, x: tower(net).head(x.swapaxes(1, 2)),
    )  # (B, W, L) to (B, O)
    return (stem, *map(stage, range(stages)), head)


def _tokens(network: Any, signals: jax.Array) -> jax.Array:
    B, C, T = signals.shape
    return network.tokenizer(signals, Slots(jnp.ones((B, C, 1)), jnp.ones((B, T // PATCH), bool)))


def _pooled(pooling: AttentionPooling, tokens: jax.Array) -> jax.Array:
    return pooling(tokens, jnp.ones((*tokens.shape[:2], 1)))[:, 0]


def _whole_night(lstm: Any, x: jax.Array) -> jax.Array:
    return lstm(x, jnp.full(x.shape[0], x.shape[1]))


def _demographics(part: Callable[[Any], Any]) -> Layer:
    return Layer(
        "demographics",
        "demo_embedding",
        lambda net, x: net.demo_embedding(x),
        lambda net, x: part(net).demographics(x),
    )  # (B, D) to (B, E/4)


def _hazards(part: Callable[[Any], Any]) -> Layer:
    return Layer(
        "hazards",
        "disease_heads",
        lambda net, x: net.disease_heads(x),
        lambda net, x: part(net).out(x),
    )  # to (B, L)


TOKENIZER = Layer(
    "tokenizer", "patch_embedding", lambda net, x: net.patch_embedding(x), _tokens
)  # (B, C, S·640) to (B, C, S, E)
SPATIAL_POOLING = Layer(
    "spatial pooling",
    "spatial_pooling",
    lambda net, x: net.spatial_pooling(x),
    lambda net, x: _pooled(net.spatial_pooling, x),
)  # (B·S, C, E) to (B·S, E)
POSITIONS = Layer(
    "positions and norm",
    "positional_encoding",
    lambda net, x: net.layer_norm(net.positional_encoding(x)),
    lambda net, x: net.norm(x + net.positions[...][: x.shape[1]].astype(x.dtype)),
)  # (B, S, E), as all that follow
TEMPORAL_POOLING = Layer(
    "temporal pooling",
    "temporal_pooling",
    lambda net, x: net.temporal_pooling(x),
    lambda net, x: _pooled(net.temporal_pooling, x),
)  # (B, S, E) to (B, E)
STAGING_LSTM = Layer(
    "LSTM", "lstm", lambda net, x: net.lstm(x)[0], lambda net, x: _whole_night(net.lstm, x)
)
RISK_LSTM = Layer(
    "LSTM", "lstm", lambda net, x: net.lstm(x)[0], lambda net, x: _whole_night(net.risk.lstm, x)
)
STAGES = Layer("stages", "fc", lambda net, x: net.fc(x), lambda net, x: net.out(x))
