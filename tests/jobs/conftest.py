"""One folder of small models for the jobs with heads; what loads them compiles each once."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from sleepfm_jax import inference
from tests.jobs.small_models import save_models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base/, staging/ and diagnosis/, untrained."""
    return save_models(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def compiled_once() -> Iterator[None]:
    """A model that was loaded before is taken again, with what it has compiled."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("load", "load_stager", "load_risk"):
            patch.setattr(inference, name, functools.cache(getattr(inference, name)))
        yield
