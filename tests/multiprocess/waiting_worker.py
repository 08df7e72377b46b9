"""One of two processes that join and wait for an end that does not come."""

import sys
import time

from sleepfm_jax.train import processes
from sleepfm_jax.train.settings import ProcessSettings

if __name__ == "__main__":
    rank, port = map(int, sys.argv[1:])
    processes.join(ProcessSettings(2, rank, f"localhost:{port}", timeout=60))
    print("joined", flush=True)
    time.sleep(600)
