"""From settings to a running loop: data, task and optimiser of a head."""

import dataclasses
import functools
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.labelled_nights import LabelledNights
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, RiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.saved_model import Outcomes, SavedModel
from sleepfm_jax.train import baseline, demographic_start, head_settings, launch, plans
from sleepfm_jax.train.diagnosis import Diagnosis
from sleepfm_jax.train.export import BACKBONE, NETWORK
from sleepfm_jax.train.head_data import check_backbone, open_data
from sleepfm_jax.train.head_settings import (
    DEMOGRAPHICS,
    EMBEDDINGS,
    RECORDINGS,
    SIGNALS,
    HeadSettings,
)
from sleepfm_jax.train.loop import Plan
from sleepfm_jax.train.mesh import batch_shard, make_mesh
from sleepfm_jax.train.residual_risk import OFFSET, demographic_config
from sleepfm_jax.train.staging import Staging

Task = Staging | Diagnosis


def finetune(settings: HeadSettings, workdir: Path) -> signal.Signals | None:
    """Trains a head in a work directory, or goes on with what is there.

    Args:
        settings: of the run, `head_settings.Staging` or `head_settings.Diagnosis`.
        workdir: the run's folder; after the run `model/` in it holds the best head, and the
            foundation model beneath it where that is known.

    Returns:
        None when done; the signal, if one stopped the run.

    Raises:
        InputError: the settings, the data or the folder cannot be used.
    """
    return launch.start(settings, workdir, prepare)


def prepare(settings: HeadSettings) -> Plan:
    """Data, task and optimiser of a run, on all devices of all processes.

    Raises:
        InputError: the settings or the data cannot be used.
    """
    mesh = make_mesh(**dataclasses.asdict(settings.mesh))
    plans.check_batch(settings.batches.batch_size, settings.chunks, mesh)
    data = open_data(settings, *batch_shard(mesh))
    backbone = saved_model.load(settings.backbone, "base") if settings.backbone else None
    task = _task(settings, data.nights, backbone)
    plans.say(len(data.nights), "nights", settings, data.training, mesh)
    plan = plans.plan_of(
        settings,
        task,
        mesh,
        data.training,
        data.held_out,
        task.decays,
        start_from=functools.partial(
            _start_from, task, data.nights, _given(settings, task, backbone), settings.seed
        ),
        provenance={"finetuning": dataclasses.asdict(settings), **_made_by(backbone)},
    )
    if isinstance(task, Staging):
        return plan
    finish = functools.partial(
        baseline.add, task=task, optimizer=plan.optimizer, mesh=mesh, nights=data.everybody
    )
    return dataclasses.replace(plan, finish=finish)


def head_of(
    settings: head_settings.Diagnosis,
) -> RiskConfig | SupervisedRiskConfig | DemographicRiskConfig:
    """The size of the head, of the type that what it learns from asks for."""
    kind = {SIGNALS: SupervisedRiskConfig, DEMOGRAPHICS: DemographicRiskConfig}.get(
        settings.learn_from, RiskConfig
    )
    names = [field.name for field in dataclasses.fields(kind)]
    values = {name: getattr(settings.model, name) for name in names}
    if settings.learn_from == DEMOGRAPHICS:
        values["demographics"] = 2
    return kind(**values)


def _task(settings: HeadSettings, nights: LabelledNights, backbone: SavedModel | None) -> Task:
    """The task, with what only the data tell."""
    trained = None
    if settings.learn_from == RECORDINGS:
        assert backbone is not None
        assert isinstance(backbone.config, FoundationConfig)
        trained = backbone.config
    elif backbone is not None:
        check_backbone(nights, backbone)
    _check_width(settings, nights, trained)
    around: dict[str, Any] = {
        "numerics": settings.numerics,
        "backbone": trained,
        "kept": backbone if settings.learn_from == EMBEDDINGS else None,
        "remat": settings.remat,
    }
    if isinstance(settings, head_settings.Staging):
        return Staging(settings.model, weights=settings.weights, **around)
    assert nights.outcomes is not None
    table = nights.outcomes
    labels = tuple(zip(table.labels, table.phenotypes, strict=True))
    return Diagnosis(
        dataclasses.replace(head_of(settings), labels=_labels(settings.model, len(labels))),
        ties=settings.ties,
        cohort=table if settings.risk_sets == "cohort" else None,
        outcomes=Outcomes(labels, settings.encoding),
        residual=settings.residual,
        night_decay=settings.night_decay,
        **around,
    )


def _labels(model: RiskConfig, found: int) -> int:
    if model.labels not in (0, found):
        raise InputError(
            f"--config.model.labels is {model.labels}, the tables have {found}: leave it at 0"
        )
    return found


def _check_width(
    settings: HeadSettings, nights: LabelledNights, trained: FoundationConfig | None
) -> None:
    """Whether the head takes what comes in."""
    comes = settings.model.embed_dim
    if trained is not None:
        comes = trained.embed_dim
    elif settings.learn_from == EMBEDDINGS:
        comes = nights.nights.width  # type: ignore[attr-defined]
    if comes != settings.model.embed_dim:
        raise InputError(
            f"the embeddings are {comes} wide and the head {settings.model.embed_dim}: set "
            f"--config.model.embed_dim={comes}"
        )


def _given(
    settings: HeadSettings, task: Task, backbone: SavedModel | None
) -> dict[str, SavedModel]:
    """Models that were named to begin with, by the part of the state that takes them."""
    given = {}
    if settings.init:
        given[NETWORK] = saved_model.load(settings.init, task.role)
    if task.backbone is not None and backbone is not None:
        given[BACKBONE] = backbone
    return given


def _start_from(
    task: Task, nights: LabelledNights, given: Mapping[str, SavedModel], seed: int
) -> dict[str, SavedModel]:
    """Those models, and age and sex where they are fitted first."""
    if isinstance(task, Staging) or not task.residual:
        return dict(given)
    assert isinstance(task.model, RiskConfig)
    assert nights.demographics is not None
    assert nights.outcomes is not None
    people = demographic_start.fit(
        demographic_config(task.model),
        nights.demographics,
        nights.outcomes.time,
        nights.outcomes.event,
        task.ties,
        seed,
    )
    return {**given, f"{NETWORK}.{OFFSET}": people}


def _made_by(backbone: SavedModel | None) -> dict[str, str]:
    return {} if backbone is None else {"backbone_sha256": backbone.content_hash}
