"""The conversion table of the ICML 2024 system: three towers, or one that was trained on labels."""

import dataclasses
import itertools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from conversion.table import BATCH_NORM, CONV, DENSE, SAME, Entries, Table, Transform, under
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.effnet import (
    MOST_STAGES,
    EffNetConfig,
    SupervisedEffNetConfig,
    TowerSizes,
)

STEM, LAST = "stage1.weight", "fc.bias"
LARGEST = 2**15  # no size is larger; a hostile one is refused before it fills the memory
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

    Raises:
        InputError: no tower has such sizes.
    """
    try:
        config = _size(state_dict)
        if config is not None and _widest(config) > LARGEST:
            raise ValueError(f"a layer of {_widest(config)} features is wider than any tower's")
    except ValueError as error:
        raise InputError(f"{error}; give a checkpoint of the published layout") from error
    return config


def _size(state_dict: Mapping[str, np.ndarray]) -> EffNetConfig | SupervisedEffNetConfig | None:
    towers = {name: _under(name, state_dict) for name in EffNetConfig().channels}
    if all(map(_is_tower, towers.values())):
        channels = {name: entries[STEM].shape[1] for name, entries in towers.items()}
        first = next(iter(towers.values()))
        return EffNetConfig(**channels, embed_dim=len(first[LAST]), **_sizes(first))
    if not _is_tower(state_dict):
        return None
    channel, outputs = state_dict[STEM].shape[1], len(state_dict[LAST])
    return SupervisedEffNetConfig(channel, outputs, **_sizes(state_dict))


def _widest(config: TowerSizes) -> int:
    single = [size for size in dataclasses.asdict(config).values() if isinstance(size, int)]
    return max(*single, config.expansion * max(config.widths))


def _under(name: str, state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    begin = f"{name}."
    return {k.removeprefix(begin): v for k, v in state_dict.items() if k.startswith(begin)}


def _is_tower(entries: Mapping[str, np.ndarray]) -> bool:
    dimensions = {key: entries[key].ndim for key in (STEM, LAST) if key in entries}
    return dimensions == {STEM: 3, LAST: 1}


def _sizes(entries: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the entries of one tower tell of `TowerSizes`.

    A size that an entry does not tell is told by its neighbours, or is the published one: what
    is missing or misshapen is then named as such.
    """

    def length(*keys: str) -> int | None:
        told = (len(entries[key]) for key in keys if key in entries and entries[key].ndim == 1)
        return next(told, None)

    def of_norm(name: str) -> int | None:
        return length(*(f"{name}.{key}" for key in ("weight", "bias", "running_mean")))

    stages = [_blocks(entries, number) for number in range(2, MOST_STAGES + 2)]
    stages = list(itertools.takewhile(bool, stages))
    widths = [len(entries[STEM]), *(of_norm(f"stage{n + 2}.bn") for n in range(len(stages)))]
    wide = of_norm(f"stage2.stack.{stages[0][0]}.b0") if stages else None
    sizes = {
        "widths": widths if stages and None not in widths else None,
        "depths": [len(blocks) for blocks in stages] or None,
        "expansion": wide and wide // len(entries[STEM]),
        "features": length("stage9.bias"),
    }
    return {name: size for name, size in sizes.items() if size is not None}


def _blocks(entries: Mapping[str, np.ndarray], stage: int) -> list[str]:
    """The names of a stage's bottlenecks."""
    found = (re.match(rf"stage{stage}\.stack\.(s\d+)\.", key) for key in entries)
    return sorted({match[1] for match in found if match})


def effnet(config: EffNetConfig) -> Table:
    """The table of the three towers in the order of their channels, keys as `respiratory.fc.bias`.

    Returns:
        {key: (Flax path, transform)}.
    """
    table: Table = {}
    for name in config.channels:
        table |= under(name, name, _tower(config))
    return table


def supervised_effnet(config: SupervisedEffNetConfig) -> Table:
    """The table of a tower by itself, as `effnet`."""
    return _tower(config)


def _tower(sizes: TowerSizes) -> Table:
    table: Table = {**_conv("stage1", "stem", CONV), **under("b0", "norm", BATCH_NORM)}
    for n, depth in enumerate(sizes.depths):
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
