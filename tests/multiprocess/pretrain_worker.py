"""`sleepfm-jax pretrain` as one of some processes; the first compiles programs for all."""

import sys

from sleepfm_jax.main import main
from tests.multiprocess import one_compilation

if __name__ == "__main__":
    one_compilation.share(sys.argv[1])
    sys.exit(main(["pretrain", *sys.argv[2:]]))
