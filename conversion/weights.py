"""A PyTorch state dict to Flax arrays and back, by the table; every misfit named in one error."""

from collections.abc import Mapping

import numpy as np

from conversion.table import Transform
from sleepfm_jax.errors import InputError

Table = Mapping[str, tuple[str, Transform]]


def to_flax(
    state_dict: Mapping[str, np.ndarray], table: Table, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Arrays by PyTorch key to arrays by Flax path.

    Args:
        state_dict: PyTorch's entries, without any `module.` prefix.
        table: {torch key: (flax path, transform)}.
        shapes: {flax path: shape} of the Flax model.

    Raises:
        InputError: entries that the table does not know, that are missing or misshapen; all of
            them are named.
    """
    expected = {
        key: transform.to_torch(np.empty(shapes[path], np.bool_)).shape
        for key, (path, transform) in table.items()
    }
    faults = [f"{key} is not part of the model" for key in state_dict if key not in table]
    faults += [f"{key} is missing" for key in table if key not in state_dict]
    faults += [
        f"{key} has shape {state_dict[key].shape} instead of {shape}"
        for key, shape in expected.items()
        if key in state_dict and state_dict[key].shape != shape
    ]
    if faults:
        raise InputError(
            f"the checkpoint does not fit its config: {'; '.join(faults)}; give the checkpoint and "
            "the config.json of one model"
        )
    return {
        path: np.array(transform.to_flax(state_dict[key], shapes[path]), order="C")
        for key, (path, transform) in table.items()
    }


def to_torch(weights: Mapping[str, np.ndarray], table: Table) -> dict[str, np.ndarray]:
    """Arrays by Flax path to arrays by PyTorch key; the inverse of `to_flax`, bit for bit.

    Raises:
        InputError: arrays that the table does not know or that are missing; all are named.
    """
    paths = {path for path, _ in table.values()}
    odd = sorted(paths ^ set(weights))
    if odd:
        raise InputError(
            f"the model's arrays and the conversion table differ in {', '.join(odd)}; import the "
            "model again"
        )
    return {
        key: np.array(transform.to_torch(weights[path]), order="C")
        for key, (path, transform) in table.items()
    }
