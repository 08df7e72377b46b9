"""The one table between PyTorch's entries and Flax's paths, with the transform of each.

Everything that imports or exports weights reads it; both directions of a transform stand together.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from sleepfm_jax.models.foundation import FoundationConfig

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

Entries = Mapping[str, tuple[str, Transform]]


def _under(torch_prefix: str, flax_prefix: str, entries: Entries, **names: int) -> Entries:
    return {
        f"{torch_prefix}.{key.format(**names)}": (f"{flax_prefix}.{path}", transform)
        for key, (path, transform) in entries.items()
    }


def foundation(config: FoundationConfig) -> dict[str, tuple[str, Transform]]:
    """The table of the base model `SetTransformer` (spec §1), in its checkpoints' order.

    Returns:
        {key: (Flax path, transform)}.
    """
    table: dict[str, tuple[str, Transform]] = {}
    for n in range(6):
        names = {"conv": 4 * n, "batch_norm": 4 * n + 1, "layer_norm": 4 * n + 3}
        path = f"tokenizer.blocks.{n}"
        table |= _under("patch_embedding.tokenizer", path, TOKENIZER_BLOCK, **names)
    table["patch_embedding.tokenizer.26.weight"] = ("tokenizer.out.kernel", LINEAR)
    table["patch_embedding.tokenizer.26.bias"] = ("tokenizer.out.bias", SAME)
    table |= _under("spatial_pooling.transformer_layer", "spatial_pooling.layer", ENCODER_LAYER)
    table["positional_encoding.pe"] = ("positions", TABLE_ROWS)
    table |= _under("layer_norm", "norm", LAYER_NORM)
    for n in range(config.num_layers):
        table |= _under(f"transformer_encoder.layers.{n}", f"layers.{n}", ENCODER_LAYER)
    table |= _under("temporal_pooling.transformer_layer", "temporal_pooling.layer", ENCODER_LAYER)
    return table
