"""One of two processes of four devices: saves, then restores where the other one cannot read."""

import json
import sys
from typing import Any

import jax

from sleepfm_jax.train import checkpoint_arrays
from sleepfm_jax.train.checkpoints import Checkpoints
from sleepfm_jax.train.fingerprint import fingerprint
from tests.train.small_state import abstract, state

restore = checkpoint_arrays.restore


def unreadable_once(*_: object) -> tuple[dict[str, Any], str | None]:
    """As where a file that holds this process's part alone is damaged."""
    checkpoint_arrays.restore = restore
    return {}, "its arrays cannot be read: simulated"


def main(rank: int, port: str, folder: str) -> None:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_num_cpu_devices", 4)
    jax.distributed.initialize(f"localhost:{port}", 2, rank)
    with Checkpoints(folder) as checkpoints:
        for step in (2, 3):
            checkpoints.save(step, state(step), {"n": step}, {"loss": step})
    if rank == 1:
        checkpoint_arrays.restore = unreadable_once
    with Checkpoints(folder) as checkpoints:
        restored = checkpoints.restore(abstract(8))
        assert restored is not None
        checkpoints.save(3, state(4), {"n": 4})
        seen = checkpoints.steps, checkpoints.best(), restored.step, restored.position
    print(json.dumps([*seen, fingerprint(restored.state)]))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
