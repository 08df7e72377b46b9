"""Every head against the published models' numbers."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from conversion import table, weights
from sleepfm_jax.models import disease_risk, sleep_stager
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.weights import insert, shapes
from tests import golden
from tests.data import recipe

HEADS = np.load(golden.DATA / "heads.npz")
FLOAT64_BOUND = 1e-12
FLOAT32_BOUND = 4.0  # times PyTorch's own float32 error
LENGTHS = np.array([50, 33, 41, 17])

STAGING = sleep_stager.StagingConfig(max_steps=512)
RISK = disease_risk.RiskConfig(max_steps=256)
MODELS: dict[str, tuple[Any, Any, Any, str]] = {
    "staging": (sleep_stager.SleepStager, STAGING, table.staging, "SleepEventLSTMClassifier"),
    "diagnosis_demo": (
        disease_risk.DiseaseRisk,
        RISK,
        table.risk,
        "DiagnosisFinetuneFullLSTMCOXPHWithDemo",
    ),
    "diagnosis": (
        disease_risk.DiseaseRisk,
        disease_risk.RiskConfig(max_steps=256, demographics=0),
        table.risk,
        "DiagnosisFinetuneFullLSTMCOXPH",
    ),
    "diagnosis_demo_only": (
        disease_risk.DemographicRisk,
        disease_risk.DemographicRiskConfig(),
        table.demographic_risk,
        "DiagnosisFinetuneDemoOnlyEmbed",
    ),
    "diagnosis_supervised": (
        disease_risk.SupervisedRisk,
        disease_risk.SupervisedRiskConfig(),
        table.supervised_risk,
        "DiagnosisFullSupervisedLSTMCOXPHWithDemoEmbed",
    ),
}


def network(kind: str, dtype: str) -> Callable[..., np.ndarray]:
    """A head with the golden weights, jitted; in float64 to be called under `jax.enable_x64`."""
    module, config, entries, name = MODELS[kind]

    def build() -> nnx.Module:
        return module(config, Numerics(dtype, dtype), rngs=nnx.Rngs(0))

    arrays = weights.to_flax(golden.state_dict(name), entries(config), shapes(build))
    evaluation = {"deterministic": True, "use_running_average": True}
    graph, state = nnx.split(
        nnx.view(insert(build, arrays), raise_if_not_found=False, **evaluation)
    )
    run = jax.jit(lambda state, *inputs: nnx.merge(graph, state)(*inputs))
    return lambda *inputs: np.asarray(run(state, *inputs))


def uniform(name: str, *shape: int) -> np.ndarray:
    return recipe.uniform(golden.SEED, name, shape)


def staging_nights() -> tuple[np.ndarray, ...]:
    """The three golden nights in one batch, the short ones with noise beyond their end."""
    x = golden.signal("filling", 3, 4, 100, 128)
    x[0] = golden.signal("stage/plain", 1, 4, 100, 128)[0]
    for n, tag in enumerate(("missing", "single"), start=1):
        x[n, :, :40] = golden.signal(f"stage/{tag}", 1, 4, 40, 128)[0]
    return x, np.arange(4) < np.array([[4], [3], [1]]), np.array([100, 40, 40])


def inputs(kind: str) -> tuple[np.ndarray, ...]:
    """A head's golden inputs in its call's order, float64."""
    if kind == "staging":
        return staging_nights()
    if kind == "diagnosis_demo_only":
        return (uniform("diag/demo4", 4, 4),)
    if kind == "diagnosis_supervised":
        slots, patches = np.zeros((2, 4), np.int8), np.full(2, 10)
        return golden.signal("diag/raw", 2, 4, 6400), slots, patches, uniform("diag/demo_raw", 2, 2)
    nights = golden.signal("diag/x", 4, 4, 57, 128), np.ones((4, 4), bool), LENGTHS
    return nights if kind == "diagnosis" else (*nights, uniform("diag/demo", 4, 2))


def by_tag(kind: str, out: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs under the names of the golden ones."""
    if kind != "staging":
        return {kind: out}
    tags = {"plain": 100, "missing": 40, "single": 40}
    return {f"staging/{tag}": out[n : n + 1, :T] for n, (tag, T) in enumerate(tags.items())}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_heads_equal_the_published_models(kind: str, dtype: str) -> None:
    with jax.enable_x64(dtype == "float64"):
        given = [x.astype(dtype) if x.dtype == np.float64 else x for x in inputs(kind)]
        for tag, out in by_tag(kind, network(kind, dtype)(*given)).items():
            error = golden.error(out, HEADS[tag])
            bound = FLOAT64_BOUND
            if dtype == "float32":
                bound = FLOAT32_BOUND * golden.PYTORCH_ERROR[tag]
            print(f"{dtype} {tag}: {error:.1e} (bound {bound:.1e})")
            assert error <= bound, tag
