"""The conversion table of the ICML 2024 system: three towers, or one that was trained on labels."""

from collections.abc import Mapping

import numpy as np

from conversion.table import BATCH_NORM, CONV, DENSE, SAME, Entries, Table, Transform, under
from sleepfm_jax.models.effnet import DEPTHS, EffNetConfig, SupervisedEffNetConfig

STEM, LAST = "stage1.weight", "fc.bias"
POINTWISE = Transform(  # (O, I, 1) ↔ (I, O)
    lambda array, _: array[..., 0].T, lambda array: array.T[..., None]
)
DEPTHWISE = Transform(  # (F, 1, K) ↔ (K, F)
    lambda array, _: array[:, 0].T, lambda array: array.T[:, None]
)


def _conv(torch_name: str, flax_name: str, kernel: Transform) -> Entries:
    return {
        f"{torch_name}.weight": (f"{flax_name}.kernel", kernel),
        f"{torch_name}.bias": (f"{flax_name}.bias", SAME),
    }


BOTTLENECK = {
    **_conv("conv1", "up", POINTWISE),
    **_conv("conv2", "along", DEPTHWISE),
    **_conv("conv3", "down", POINTWISE),
    **under("b0", "norm1", BATCH_NORM),
    **under("b1", "norm2", BATCH_NORM),
}


def size(state_dict: Mapping[str, np.ndarray]) -> EffNetConfig | SupervisedEffNetConfig | None:
    """The sizes that the entries tell, of three towers or of one; None if they are of neither.

    How much was dropped in training no checkpoint tells: the published rate is taken.
    """
    towers = list(EffNetConfig().channels)
    stems = {name: state_dict.get(f"{name}.{STEM}") for name in towers}
    first = state_dict.get(f"{towers[0]}.{LAST}")
    if first is not None and all(stem is not None and stem.ndim == 3 for stem in stems.values()):
        channels = {name: stem.shape[1] for name, stem in stems.items() if stem is not None}
        return EffNetConfig(**channels, embed_dim=len(first))
    alone, last = state_dict.get(STEM), state_dict.get(LAST)
    if alone is None or last is None or alone.ndim != 3:
        return None
    return SupervisedEffNetConfig(alone.shape[1], len(last))


def effnet(config: EffNetConfig) -> Table:
    """The table of the three towers in the order of their channels, keys as `respiratory.fc.bias`.

    Returns:
        {key: (Flax path, transform)}.
    """
    table: Table = {}
    for name in config.channels:
        table |= under(name, name, _tower())
    return table


def supervised_effnet(_: SupervisedEffNetConfig) -> Table:
    """The table of a tower by itself, as `effnet`."""
    return _tower()


def _tower() -> Table:
    table: Table = {**_conv("stage1", "stem", CONV), **under("b0", "norm", BATCH_NORM)}
    for n, depth in enumerate(DEPTHS):
        theirs, ours = f"stage{n + 2}", f"stages.{n}"
        for block in range(depth):
            # The last one is counted on from one number further.
            name = f"s{block}" if block < depth - 1 else f"s{depth + 1}"
            table |= under(f"{theirs}.stack.{name}", f"{ours}.blocks.{block}", BOTTLENECK)
        table |= under(f"{theirs}.bn", f"{ours}.norm", BATCH_NORM)
    return {
        **table,
        **_conv("stage9", "features", POINTWISE),
        **under("fc", "out", DENSE),
    }
