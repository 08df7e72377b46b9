"""Which network a configuration is of: every kind of model that is trained, saved and loaded."""

from typing import Any, NamedTuple

from flax import nnx

from sleepfm_jax.models.disease_risk import (
    DemographicRisk,
    DemographicRiskConfig,
    DiseaseRisk,
    RiskConfig,
    SupervisedRisk,
    SupervisedRiskConfig,
)
from sleepfm_jax.models.effnet import (
    EffNet,
    EffNetConfig,
    SupervisedEffNet,
    SupervisedEffNetConfig,
)
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.sleep_stager import SleepStager, StagingConfig

Config = (
    FoundationConfig
    | StagingConfig
    | RiskConfig
    | DemographicRiskConfig
    | SupervisedRiskConfig
    | EffNetConfig
    | SupervisedEffNetConfig
)


class Kind(NamedTuple):
    """A kind of model.

    Attributes:
        config: its sizes.
        network: built as `network(config, numerics, rngs=rngs)`.
    """

    config: type[Any]
    network: type[nnx.Module]


KINDS = {
    "foundation": Kind(FoundationConfig, SleepFM),
    "staging": Kind(StagingConfig, SleepStager),
    "risk": Kind(RiskConfig, DiseaseRisk),
    "demographic_risk": Kind(DemographicRiskConfig, DemographicRisk),
    "supervised_risk": Kind(SupervisedRiskConfig, SupervisedRisk),
    "effnet": Kind(EffNetConfig, EffNet),
    "supervised_effnet": Kind(SupervisedEffNetConfig, SupervisedEffNet),
}


def kind_of(config: Config) -> str:
    """The kind's name, by the type of the configuration."""
    return next(name for name, kind in KINDS.items() if type(config) is kind.config)


def network_of(config: Config, numerics: Numerics | None = None, *, rngs: nnx.Rngs) -> Any:
    """A newborn network of this configuration."""
    return KINDS[kind_of(config)].network(config, numerics, rngs=rngs)  # type: ignore[call-arg]
