"""Eight emulated CPU devices for every test, and where the real recordings lie.

Programs here run a few times: without LLVM's optimisations they are made in half the time.
"""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
)
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["OMP_NUM_THREADS"] = "1"  # PyTorch's threads wait in loops while others have the cores

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.train.kept_programs import kept_programs, shared_folder

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What one process of the tests has compiled for long, the others need not compile again."""
    with kept_programs(shared_folder(tmp_path_factory.getbasetemp()), seconds=1.0):
        yield


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
