"""A short night for the commands that take one."""

from pathlib import Path

import pytest

from sleepfm_jax.input_pipeline.simulate import simulate_night, write_edf


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated EDF of two windows: with the noise of parity it shares most compilations."""
    path = tmp_path_factory.mktemp("night") / "night.edf"
    write_edf(path, simulate_night(seed=1, night=0, hours=0.17))
    return path
