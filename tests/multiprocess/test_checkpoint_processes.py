"""Processes that share a run agree on which checkpoint is whole, and none waits for the other."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from sleepfm_jax.train.checkpoints import Checkpoints
from sleepfm_jax.train.fingerprint import fingerprint
from tests.train.small_state import abstract, same, state

ROOT = Path(__file__).parents[2]
WORKER = [sys.executable, "-m", "tests.multiprocess.checkpoint_worker"]


def test_what_one_process_cannot_read_both_pass_over(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    workers = [
        subprocess.Popen(
            [*WORKER, str(rank), port, str(tmp_path)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        told = [worker.communicate(timeout=90) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], told
    expected = [[2, 3], 2, 2, {"n": 2}, fingerprint(state(2))]
    assert [json.loads(out.splitlines()[-1]) for out, _ in told] == [expected, expected]
    assert "the checkpoint of step 3 is damaged" in told[0][1]
    assert "damaged" not in told[1][1]  # said once
    assert (tmp_path / "damaged-3").exists()
    with Checkpoints(tmp_path) as checkpoints:  # by one process of eight devices
        restored = checkpoints.restore(abstract(8))
    assert restored is not None
    assert (restored.step, restored.position) == (3, {"n": 4})
    assert same(restored.state, state(4))
