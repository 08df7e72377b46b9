"""Between a training state and a model folder: start from a saved model, leave one behind."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from sleepfm_jax.errors import InputError
from sleepfm_jax.models.weights import shapes
from sleepfm_jax.saved_model import Config, SavedModel, network_of
from sleepfm_jax.train.state import TrainState, Tree

TEMPERATURE = "temperature"
NETWORK = "network"  # the model folder holds the network; what trains it stands around it
BACKBONE = "backbone"  # beneath a head that is trained end to end


def saved_model_of(
    params: Tree,
    extra: Tree,
    config: Config,
    provenance: dict[str, Any],
    part: str = NETWORK,
) -> SavedModel:
    """A model as it is now: its network's arrays, and the temperature where there is one.

    Every process must call this when the state is spread over several.

    Args:
        params: trained arrays of a state.
        extra: its batch statistics and tables; random streams are left out.
        config: size of the network.
        provenance: kept with the model.
        part: of the state that is the network.
    """
    network = shapes(lambda: network_of(config, rngs=nnx.Rngs(0)))
    kept = {f"{part}.{name}" for name in network}
    if part == NETWORK:
        kept.add(TEMPERATURE)
    arrays = {name: a for name, a in (_by_name(params) | _by_name(extra)).items() if name in kept}
    weights = {name.removeprefix(f"{part}."): array for name, array in _whole(arrays).items()}
    return SavedModel(config, weights, provenance)


def arrays_of(params: Tree, extra: Tree, part: str) -> dict[str, np.ndarray]:
    """What a part of a state has learnt, by path in it, on this process.

    That is its floating-point numbers: random streams and counters are none.

    Every process must call this when the state is spread over several.

    Args:
        params: trained arrays of a state.
        extra: its batch statistics and tables.
        part: of the state.
    """
    arrays = {
        name: array
        for name, array in (_by_name(params) | _by_name(extra)).items()
        if name.startswith(f"{part}.") and jnp.issubdtype(array.dtype, jnp.floating)
    }
    return {name.removeprefix(f"{part}."): array for name, array in _whole(arrays).items()}


def start_from(state: TrainState, saved: SavedModel, part: str = NETWORK) -> TrainState:
    """The state with a saved model's weights, batch statistics, table and temperature.

    Args:
        state: newborn.
        saved: a model of the same size.
        part: of the state that takes them.

    Raises:
        InputError: an array is missing, too much or has another shape.
    """
    prefix = f"{part}."

    def replace(path: tuple[Any, ...], old: jax.Array) -> jax.Array:
        name = name_of(path)
        if name.removeprefix(prefix) not in saved.weights or not (
            name.startswith(prefix) or name == TEMPERATURE
        ):
            if name in own:
                raise InputError(
                    f"the model to start from lacks {name.removeprefix(prefix)}: choose another one"
                )
            return old
        name = name.removeprefix(prefix)
        new = saved.weights[name]
        if new.shape != old.shape:
            raise InputError(
                f"the model to start from has {name} of shape {new.shape}, this run's is "
                f"{old.shape}: set --config.model to its size"
            )
        cast = np.asarray(new, old.dtype)
        return jax.make_array_from_callback(old.shape, old.sharding, lambda index: cast[index])

    own = {
        name
        for name, leaf in (_by_name(state.params) | _by_name(state.extra)).items()
        if name.startswith(prefix) and jnp.issubdtype(leaf.dtype, jnp.floating)  # no random stream
    }
    more = sorted(
        name
        for name, array in saved.weights.items()
        if f"{prefix}{name}" not in own
        and name != TEMPERATURE
        and not name.startswith("baseline.")
        and array.dtype.kind == "f"
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
    return {name_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def name_of(path: tuple[Any, ...]) -> str:
    """Of an array in a state, by its path; at birth paths end in what holds the array."""
    return ".".join(str(part.key) for part in path if hasattr(part, "key"))


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
