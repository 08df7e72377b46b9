"""`sleepfm-jax pretrain`, quick network, as one of some processes; the first compiles for all."""

import sys

from sleepfm_jax.main import main
from tests.multiprocess import one_compilation
from tests.train import quick_network

if __name__ == "__main__":
    quick_network.use()
    one_compilation.share(sys.argv[1])
    sys.exit(main(["pretrain", *sys.argv[2:]]))
