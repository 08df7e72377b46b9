"""The one table between PyTorch's entries and Flax's paths, with the transform of each.

Everything that imports or exports weights reads it; both directions of a transform stand together.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from sleepfm_jax.models.disease_risk import DemographicRiskConfig, RiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.sleep_stager import StagingConfig

Array = np.ndarray
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Transform:
    """How one array is laid out on either side.

    Attributes:
        to_flax: PyTorch's array and the Flax shape to the Flax array.
        to_torch: the Flax array to PyTorch's.
    """

    to_flax: Callable[[Array, Shape], Array]
    to_torch: Callable[[Array], Array]


SAME = Transform(lambda array, _: array, lambda array: array)
LINEAR = Transform(lambda array, _: array.T, lambda array: array.T)  # (O, I) ↔ (I, O)
CONV = Transform(  # (O, I, K) ↔ (K, I, O)
    lambda array, _: array.transpose(2, 1, 0), lambda array: array.transpose(2, 1, 0)
)
LENGTH_FIRST = Transform(lambda array, _: array.T, lambda array: array.T)  # (C, L) ↔ (L, C)
SPLIT_HEADS = Transform(  # (3E, E) ↔ (E, 3, H, D)
    lambda array, shape: array.T.reshape(shape), lambda array: array.reshape(len(array), -1).T
)
SPLIT_BIAS = Transform(  # (3E,) ↔ (3, H, D)
    lambda array, shape: array.reshape(shape), lambda array: array.reshape(-1)
)
JOIN_HEADS = Transform(  # (E, E) ↔ (H, D, E)
    lambda array, shape: array.T.reshape(shape),
    lambda array: array.reshape(-1, array.shape[-1]).T,
)
TABLE_ROWS = Transform(lambda array, _: array[0], lambda array: array[None])  # (1, S, E) ↔ (S, E)
COUNTER = Transform(  # int64 ↔ int32, JAX's default integer
    lambda array, _: array.astype(np.int32), lambda array: array.astype(np.int64)
)

BATCH_NORM = {
    "weight": ("scale", SAME),
    "bias": ("bias", SAME),
    "running_mean": ("mean", SAME),
    "running_var": ("var", SAME),
    "num_batches_tracked": ("count", COUNTER),
}
LAYER_NORM = {"weight": ("scale", SAME), "bias": ("bias", SAME)}
TOKENIZER_BLOCK = {
    "{conv}.weight": ("conv.kernel", CONV),
    "{conv}.bias": ("conv.bias", SAME),
    **{f"{{batch_norm}}.{k}": (f"batch_norm.{v}", t) for k, (v, t) in BATCH_NORM.items()},
    "{layer_norm}.weight": ("layer_norm.scale", LENGTH_FIRST),
    "{layer_norm}.bias": ("layer_norm.bias", LENGTH_FIRST),
}
ENCODER_LAYER = {
    "self_attn.in_proj_weight": ("attention.qkv.kernel", SPLIT_HEADS),
    "self_attn.in_proj_bias": ("attention.qkv.bias", SPLIT_BIAS),
    "self_attn.out_proj.weight": ("attention.out.kernel", JOIN_HEADS),
    "self_attn.out_proj.bias": ("attention.out.bias", SAME),
    "linear1.weight": ("up.kernel", LINEAR),
    "linear1.bias": ("up.bias", SAME),
    "linear2.weight": ("down.kernel", LINEAR),
    "linear2.bias": ("down.bias", SAME),
    **{f"norm1.{k}": (f"norm1.{v}", t) for k, (v, t) in LAYER_NORM.items()},
    **{f"norm2.{k}": (f"norm2.{v}", t) for k, (v, t) in LAYER_NORM.items()},
}

LSTM = {
    "weight_ih_l{n}": ("input_kernel", LINEAR),
    "weight_hh_l{n}": ("recurrent_kernel", LINEAR),
    "bias_ih_l{n}": ("input_bias", SAME),
    "bias_hh_l{n}": ("recurrent_bias", SAME),
}
DENSE = {"weight": ("kernel", LINEAR), "bias": ("bias", SAME)}

Entries = Mapping[str, tuple[str, Transform]]
Table = dict[str, tuple[str, Transform]]


def foundation(config: FoundationConfig) -> Table:
    """The table of the base model `SetTransformer` (spec §1), in its checkpoints' order.

    Returns:
        {key: (Flax path, transform)}.
    """
    return {
        **_tokenizer(),
        **_pooling("spatial_pooling"),
        "positional_encoding.pe": ("positions", TABLE_ROWS),
        **under("layer_norm", "norm", LAYER_NORM),
        **_encoder(config.num_layers),
        **_pooling("temporal_pooling"),
    }


def staging(config: StagingConfig) -> Table:
    """The table of `SleepEventLSTMClassifier` (spec §3), as `foundation`."""
    return {
        **_pooling("spatial_pooling"),
        "positional_encoding.pe": ("positions", TABLE_ROWS),
        **under("layer_norm", "norm", LAYER_NORM),
        **_encoder(config.num_layers),
        **_lstm("lstm", config.num_layers),
        **under("fc", "out", DENSE),
    }


def risk(config: RiskConfig) -> Table:
    """The table of `DiagnosisFinetuneFullLSTMCOXPH` and `…WithDemo` (spec §3), as `foundation`."""
    return {
        **_pooling("spatial_pooling"),
        "positional_encoding.pe": ("positions", TABLE_ROWS),
        "layer_norm.weight": ("unused_scale", SAME),
        "layer_norm.bias": ("unused_bias", SAME),
        **_recurrent_risk(config),
    }


def supervised_risk(config: SupervisedRiskConfig) -> Table:
    """The table of `DiagnosisFullSupervisedLSTMCOXPHWithDemoEmbed` (spec §3), as `foundation`."""
    return {**_tokenizer(), **_pooling("spatial_pooling"), **_recurrent_risk(config)}


def demographic_risk(_: DemographicRiskConfig) -> Table:
    """The table of `DiagnosisFinetuneDemoOnlyEmbed` (spec §3), as `foundation`."""
    return {
        **under("demo_embedding.0", "demographics.linear", DENSE),
        **under("disease_heads", "out", DENSE),
    }


def _tokenizer() -> Table:
    table: Table = {}
    for n in range(6):
        names = {"conv": 4 * n, "batch_norm": 4 * n + 1, "layer_norm": 4 * n + 3}
        path = f"tokenizer.blocks.{n}"
        table |= under("patch_embedding.tokenizer", path, TOKENIZER_BLOCK, **names)
    return table | under("patch_embedding.tokenizer.26", "tokenizer.out", DENSE)


def _pooling(name: str) -> Table:
    return under(f"{name}.transformer_layer", f"{name}.layer", ENCODER_LAYER)


def _encoder(layers: int) -> Table:
    table: Table = {}
    for n in range(layers):
        table |= under(f"transformer_encoder.layers.{n}", f"layers.{n}", ENCODER_LAYER)
    return table


def _lstm(path: str, layers: int) -> Table:
    table: Table = {}
    for n in range(layers):
        for suffix, direction in (("", "forward"), ("_reverse", "backward")):
            entries = {f"{key}{suffix}": entry for key, entry in LSTM.items()}
            table |= under("lstm", f"{path}.layers.{n}.{direction}", entries, n=n)
    return table


def _recurrent_risk(config: RiskConfig | SupervisedRiskConfig) -> Table:
    table = _lstm("risk.lstm", config.num_layers)
    if config.demographics:
        table |= under("demo_embedding.0", "risk.demographics.linear", DENSE)
    return table | under("disease_heads", "risk.out", DENSE)


def under(torch_prefix: str, flax_prefix: str, entries: Entries, **names: int) -> Table:
    """Entries of a part under the part's name on either side; `names` fill in numbers of keys."""
    return {
        f"{torch_prefix}.{key.format(**names)}": (f"{flax_prefix}.{path}", transform)
        for key, (path, transform) in entries.items()
    }
