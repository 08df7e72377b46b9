"""`sleepfm-jax`, only with the quick network."""

import sys

from sleepfm_jax.main import main
from tests.train import quick_network

if __name__ == "__main__":
    quick_network.use()
    sys.exit(main())
