"""Devices as a mesh of data × fsdp × tensor, and which part of a batch is whose.

Windows are split over data and fsdp; weights over fsdp and tensor, by the logical names of their
axes. One device is the mesh (1, 1, 1): there is no other path through the code.
"""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from sleepfm_jax.errors import InputError

AXES = ("data", "fsdp", "tensor")
WEIGHT_RULES = (("embed", "fsdp"), ("mlp", "tensor"), ("heads", "tensor"))
BATCH = P(("data", "fsdp"))


def make_mesh(
    data: int = -1, fsdp: int = 1, tensor: int = 1, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """Arranges devices.

    Args:
        data: ways the batch is split, with a whole copy of the weights each; −1: all that is left.
        fsdp: ways both the batch and the weights are split.
        tensor: ways heads and hidden features are split; keep it within one machine.
        devices: None: all of all processes.

    Raises:
        InputError: the product is not the number of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    shape = [data, fsdp, tensor]
    if shape.count(-1) == 1:
        rest = -int(np.prod(shape))
        shape[shape.index(-1)] = len(devices) // rest if rest > 0 else 0
    if min(shape) < 1 or int(np.prod(shape)) != len(devices):
        raise InputError(
            f"a mesh of data {data} × fsdp {fsdp} × tensor {tensor} does not fit {len(devices)} "
            "devices: set --config.mesh so that the product is their number (one may be -1)"
        )
    return jax.make_mesh(tuple(shape), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def batch_shard(mesh: Mesh) -> tuple[int, int]:
    """Which part of each global batch this process loads: (index, number of parts).

    Processes that share their rows, because `tensor` spans them, load the same part.

    Raises:
        InputError: this process's devices hold rows that do not stand next to each other.
    """
    rows = mesh.devices.reshape(-1, mesh.shape["tensor"])  # (data·fsdp, tensor)
    mine = [
        n
        for n, row in enumerate(rows)
        if any(device.process_index == jax.process_index() for device in row)
    ]
    parts = len(rows) // len(mine)
    index = mine[0] // len(mine)
    if mine != list(range(index * len(mine), (index + 1) * len(mine))) or len(rows) % len(mine):
        raise InputError(
            f"--config.mesh {dict(mesh.shape)} splits this machine's devices between parts of the "
            "batch: make data·fsdp a multiple of the number of processes"
        )
    return index, parts


def put_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's rows of a batch as part of global arrays (B, …) on the devices."""
    sharding = NamedSharding(mesh, BATCH)
    return {
        name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()
    }
