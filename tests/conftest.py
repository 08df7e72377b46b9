"""Eight emulated CPU devices for every test, and where the real recordings lie.

Programs here run once or twice: LLVM's last optimisations would double the time of the tests.
"""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=1"
)
os.environ["JAX_PLATFORMS"] = "cpu"

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def psg() -> Path:
    """The folder of real recordings; tests that need it skip where it is absent."""
    folder = SHARED / "data" / "psg"
    if not folder.is_dir():
        pytest.skip("the real recordings (../shared/data/psg) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def edge() -> Path:
    """The folder of malformed and unusual EDF files."""
    folder = SHARED / "data" / "edge"
    if not folder.is_dir():
        pytest.skip("the unusual EDF files (../shared/data/edge) are not on this machine")
    return folder
