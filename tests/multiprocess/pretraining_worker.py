"""One of two processes of two devices: takes the steps of a small pretraining, tells of them."""

import sys

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from sleepfm_jax.train import processes
from sleepfm_jax.train.mesh import batch_shard, make_mesh
from sleepfm_jax.train.settings import ProcessSettings
from tests.multiprocess import one_compilation
from tests.train import small_run

STEPS = 20


def main(rank: int, port: str, file: str, programs: str) -> None:
    one_compilation.share(programs)
    jax.config.update("jax_enable_x64", True)
    processes.join(ProcessSettings(2, rank, f"localhost:{port}", timeout=60))
    mesh = make_mesh(1, 2, 2)  # no process holds all parameters
    run = small_run.Run(small_run.task(), mesh)
    now, seen = run.steps(run.born(), [part(n, mesh) for n in range(STEPS)])
    arrays = whole(now, mesh)
    if rank == 0:
        np.savez(file, losses=np.array([metrics["loss"] for metrics in seen]), **arrays)


def part(number: int, mesh: jax.sharding.Mesh) -> dict[str, np.ndarray]:
    """This process's rows of a batch."""
    index, parts = batch_shard(mesh)
    each = small_run.B // parts
    rows = slice(index * each, (index + 1) * each)
    return {name: array[rows] for name, array in small_run.batch(number).items()}


def whole(now: object, mesh: jax.sharding.Mesh) -> dict[str, np.ndarray]:
    """As `small_run.arrays`, of arrays that no process holds all of."""

    def plain(leaf: jax.Array) -> jax.Array:
        keys = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(leaf) if keys else leaf

    gather = jax.jit(lambda tree: jax.tree.map(plain, tree), out_shardings=NamedSharding(mesh, P()))
    return small_run.arrays(gather(now))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
