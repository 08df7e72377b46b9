"""Between a training state and a model folder: start from a saved model, leave one behind."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from sleepfm_jax.errors import InputError
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.weights import shapes
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train.state import TrainState, Tree

TEMPERATURE = "temperature"
NETWORK = "network."  # the model folder holds the network; what trains it stands around it


def saved_model_of(
    params: Tree, extra: Tree, config: FoundationConfig, provenance: dict[str, Any]
) -> SavedModel:
    """A model as it is now: its network's arrays, and the temperature where there is one.

    Every process must call this when the state is spread over several.

    Args:
        params: trained arrays of a state.
        extra: its batch statistics and tables; random streams are left out.
        config: size of the network.
        provenance: kept with the model.
    """
    network = shapes(lambda: SleepFM(config, rngs=nnx.Rngs(0)))
    kept = {*(NETWORK + name for name in network), TEMPERATURE}
    arrays = {name: a for name, a in (_by_name(params) | _by_name(extra)).items() if name in kept}
    weights = {name.removeprefix(NETWORK): array for name, array in _whole(arrays).items()}
    return SavedModel(config, weights, provenance)


def start_from(state: TrainState, saved: SavedModel) -> TrainState:
    """The state with a saved model's weights, batch statistics, table and temperature.

    Args:
        state: newborn.
        saved: a model of the same size.

    Raises:
        InputError: an array is missing, too much or has another shape.
    """

    def replace(path: tuple[Any, ...], old: jax.Array) -> jax.Array:
        name = _name(path).removeprefix(NETWORK)
        if name not in saved.weights:
            if name in own:
                raise InputError(f"the model to start from lacks {name}: choose another one")
            return old
        new = saved.weights[name]
        if new.shape != old.shape:
            raise InputError(
                f"the model to start from has {name} of shape {new.shape}, this run's is "
                f"{old.shape}: set --config.model to its size"
            )
        cast = np.asarray(new, old.dtype)
        return jax.make_array_from_callback(old.shape, old.sharding, lambda index: cast[index])

    own = {
        name.removeprefix(NETWORK)
        for name, leaf in (_by_name(state.params) | _by_name(state.extra)).items()
        if name.startswith(NETWORK) and jnp.issubdtype(leaf.dtype, jnp.floating)  # no random stream
    }
    more = sorted(
        name
        for name, array in saved.weights.items()
        if name not in {*own, TEMPERATURE} and array.dtype.kind == "f"
    )
    if more:
        raise InputError(
            f"the model to start from has {more[0]}, which this run's lacks: set --config.model "
            "to its size"
        )
    return dataclasses.replace(
        state,
        params=jax.tree_util.tree_map_with_path(replace, state.params),
        extra=jax.tree_util.tree_map_with_path(replace, state.extra),
    )


def _by_name(tree: Tree) -> dict[str, jax.Array]:
    return {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(str(part.key) for part in path)


def _whole(arrays: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    """On this process; those that are spread over several are gathered by one program."""
    spread = {
        name: array
        for name, array in arrays.items()
        if not (array.is_fully_addressable or array.is_fully_replicated)
    }
    gathered = dict(arrays)
    if spread:
        mesh = next(iter(spread.values())).sharding.mesh  # type: ignore[attr-defined]
        whole = NamedSharding(mesh, PartitionSpec())
        gathered |= jax.jit(lambda tree: tree, out_shardings=whole)(spread)
    return {name: np.asarray(array) for name, array in gathered.items()}
