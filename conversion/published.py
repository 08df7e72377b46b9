"""The published model classes: name, sizes in `config.json`, table and reference of each."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from conversion import effnet, table
from conversion.reference import SetTransformer
from conversion.reference_effnet import EffNet, EffNets
from conversion.reference_heads import (
    DiagnosisFinetuneDemoOnlyEmbed,
    DiagnosisFinetuneFullLSTMCOXPH,
    DiagnosisFullSupervisedLSTMCOXPHWithDemoEmbed,
    SleepEventLSTMClassifier,
)
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, RiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig, TowerSizes
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.kinds import Config
from sleepfm_jax.models.sleep_stager import StagingConfig

# {key of config.json, also the reference's argument: field of the configuration}
WIDTH = {"embed_dim": "embed_dim", "dropout": "dropout"}
POOLED = {**WIDTH, "num_layers": "num_layers", "pooling_head": "pooling_heads"}
HEAD_KEYS = ("num_heads", "num_classes", "max_seq_length", *POOLED)  # that `model_params` may have
# Arguments of the reference that config.json does not tell.
UNTOLD = {"feed_forward": "feed_forward", "demographics": "demographics"}


@dataclasses.dataclass(frozen=True)
class Published:
    """A published class.

    Attributes:
        name: as `config.json` has it.
        kind: what `create` calls it.
        config: type of the configuration here.
        sizes: {key of config.json: field of the configuration}.
        table: of a configuration.
        module: the reference.
        demographics: whether it takes some.
    """

    name: str
    kind: str
    config: type[Any]
    sizes: Mapping[str, str]
    table: Callable[[Any], table.Table]
    module: type[nn.Module]
    demographics: bool = False

    def reference(self, config: Config) -> nn.Module:
        """The reference module of a size, with PyTorch's initial values."""
        arguments = {**self.sizes, **UNTOLD}
        if self.config is FoundationConfig:
            arguments["max_seq_length"] = "max_patches"
        given = {
            key: getattr(config, field)
            for key, field in arguments.items()
            if hasattr(config, field)
        }
        return self.module(**given)


RISK = {**POOLED, "num_classes": "labels"}
CLASSES = (
    Published(
        "SetTransformer",
        "base",
        FoundationConfig,
        {
            "embed_dim": "embed_dim",
            "num_heads": "num_heads",
            "num_layers": "num_layers",
            "pooling_head": "pooling_heads",
            "dropout": "dropout",
        },
        table.foundation,
        SetTransformer,
    ),
    Published(
        "SleepEventLSTMClassifier",
        "staging",
        StagingConfig,
        {
            **POOLED,
            "num_heads": "num_heads",
            "num_classes": "classes",
            "max_seq_length": "max_steps",
        },
        table.staging,
        SleepEventLSTMClassifier,
    ),
    Published(
        "DiagnosisFinetuneFullLSTMCOXPHWithDemo",
        "diagnosis",
        RiskConfig,
        {**RISK, "max_seq_length": "max_steps"},
        table.risk,
        DiagnosisFinetuneFullLSTMCOXPH,
        demographics=True,
    ),
    Published(
        "DiagnosisFinetuneFullLSTMCOXPH",
        "diagnosis-of-night-alone",
        RiskConfig,
        {**RISK, "max_seq_length": "max_steps"},
        table.risk,
        DiagnosisFinetuneFullLSTMCOXPH,
    ),
    Published(
        "DiagnosisFinetuneDemoOnlyEmbed",
        "diagnosis-of-demographics-alone",
        DemographicRiskConfig,
        {**WIDTH, "num_classes": "labels"},
        table.demographic_risk,
        DiagnosisFinetuneDemoOnlyEmbed,
        demographics=True,
    ),
    Published(
        "DiagnosisFullSupervisedLSTMCOXPHWithDemoEmbed",
        "diagnosis-of-signals",
        SupervisedRiskConfig,
        RISK,
        table.supervised_risk,
        DiagnosisFullSupervisedLSTMCOXPHWithDemoEmbed,
        demographics=True,
    ),
)
TOWER = {field.name: field.name for field in dataclasses.fields(TowerSizes)}
# Published without a config.json: their checkpoints tell their sizes.
TOLD_BY_CHECKPOINT = (
    Published(
        "EffNet towers",
        "effnet",
        EffNetConfig,
        {"channels": "channels", "embed_dim": "embed_dim", **TOWER},
        effnet.effnet,
        EffNets,
    ),
    Published(
        "EffNet",
        "supervised-effnet",
        SupervisedEffNetConfig,
        {"channels": "channels", "outputs": "classes", **TOWER},
        effnet.supervised_effnet,
        EffNet,
    ),
)
BY_NAME = {each.name: each for each in CLASSES}
BY_KIND = {each.kind: each for each in (*CLASSES, *TOLD_BY_CHECKPOINT)}


def of(config: Config) -> Published:
    """The published class of a configuration.

    Raises:
        InputError: there is none.
    """
    takes = bool(getattr(config, "demographics", 0))
    for each in (*CLASSES, *TOLD_BY_CHECKPOINT):
        if each.config is type(config) and each.demographics == takes:
            return each
    raise InputError(
        "no published class takes signals without demographics; keep this model in its folder"
    )


def newborn(kind: str) -> Any:
    """The released size of a kind that `create` knows."""
    model = BY_KIND[kind]
    config = model.config()
    if hasattr(config, "demographics") and not model.demographics:
        return dataclasses.replace(config, demographics=0)
    return config
