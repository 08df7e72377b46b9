"""From settings to a running loop: labelled nights, task and optimiser of a head."""

import dataclasses
import functools
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import labelled_nights, night_batches, outcomes
from sleepfm_jax.input_pipeline.batch_streams import Batch, Fixed
from sleepfm_jax.input_pipeline.embedded_nights import EmbeddedNights
from sleepfm_jax.input_pipeline.labelled_nights import LabelledNights
from sleepfm_jax.input_pipeline.nights_by_number import NamesOnly, Opening
from sleepfm_jax.input_pipeline.outcomes import Encoding
from sleepfm_jax.input_pipeline.recorded_nights import RecordedNights
from sleepfm_jax.input_pipeline.splits import Splits, read_published
from sleepfm_jax.input_pipeline.windows import PATCHES
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.heads import DemographicRiskConfig, RiskConfig, SupervisedRiskConfig
from sleepfm_jax.saved_model import Outcomes, SavedModel
from sleepfm_jax.train import baseline, demographic_start, head_settings, launch, optimizers
from sleepfm_jax.train.diagnosis import Diagnosis
from sleepfm_jax.train.export import BACKBONE, NETWORK
from sleepfm_jax.train.head_settings import (
    DEMOGRAPHICS,
    EMBEDDINGS,
    RECORDINGS,
    SIGNALS,
    HeadRun,
    LabelledDataSettings,
)
from sleepfm_jax.train.loop import Plan
from sleepfm_jax.train.mesh import batch_shard, make_mesh
from sleepfm_jax.train.residual_risk import OFFSET, demographic_config
from sleepfm_jax.train.staging import Staging

log = logging.getLogger(__name__)


def finetune(settings: HeadRun, workdir: Path) -> signal.Signals | None:
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


def prepare(settings: HeadRun) -> Plan:
    """Data, task and optimiser of a run, on all devices of all processes.

    Raises:
        InputError: the settings or the data cannot be used.
    """
    mesh = make_mesh(**dataclasses.asdict(settings.mesh))
    part, parts = batch_shard(mesh)
    launch.check_batch(settings.batches.batch_size, settings.chunks, mesh)
    nights = _nights(settings, settings.data.train)
    backbone = saved_model.load(settings.backbone, "base") if settings.backbone else None
    task, settings = _task(settings, nights, backbone)
    batching: dict[str, Any] = {
        "crop": settings.batches.crop,
        "max_steps": getattr(settings.model, "max_steps", 1 << 30) // PATCHES * PATCHES,  # type: ignore[attr-defined]
    }
    size = settings.batches.batch_size
    stream = night_batches.training(nights, size, settings.seed, part, parts, **batching)
    held_out = None
    if settings.data.validation:
        validation = _nights(settings, settings.data.validation)
        if nights.outcomes is not None and validation.outcomes is not None:
            _check_labels(nights, validation)
        held_out = _HeldOut(night_batches.held_out(validation, size, part, parts, **batching))
    steps = settings.steps or settings.epochs * stream.batches_per_epoch
    rate = optimizers.schedule(settings.optimizer, steps, stream.batches_per_epoch)
    decays = task.decays if isinstance(task, Diagnosis) else {}
    optimizer = optimizers.make(settings.optimizer, rate, task.nonnegative, decays)
    finish = None
    if isinstance(task, Diagnosis):
        everybody = night_batches.held_out(nights, size, part, parts, **batching)
        finish = functools.partial(
            baseline.add, task=task, optimizer=optimizer, mesh=mesh, nights=_HeldOut(everybody)
        )
    launch.say(len(nights), "nights", steps, size, mesh)
    return Plan(
        task=task,
        optimizer=optimizer,
        rate=rate,
        mesh=mesh,
        batches=stream,
        held_out=held_out,
        steps=steps,
        seed=settings.seed,
        chunks=settings.chunks,
        freeze_batch_norm_at=settings.freeze_batch_norm_at,
        loop=launch.every_epoch(settings.loop, stream.batches_per_epoch),
        plateau=optimizers.plateau(settings.optimizer),
        decay_rate=settings.optimizer.decay_rate,
        finish=finish,
        start_from=functools.partial(_start_from, settings, task, nights, backbone),
        provenance={"finetuning": dataclasses.asdict(settings), **_made_by(backbone)},
    )


class _HeldOut:
    """Held-out nights, whose subjects have no row in the cohort that trains."""

    def __init__(self, batches: Fixed) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._batches:
            yield {name: rows for name, rows in batch.items() if name != "subject"}


def _nights(settings: HeadRun, split: str) -> LabelledNights:
    """The labelled nights of a split."""
    data = settings.data
    from_signals = settings.learn_from in (RECORDINGS, SIGNALS)
    folder, name = (
        (data.recordings, "recordings") if from_signals else (data.embeddings, "embeddings")
    )
    for value, what in ((folder, name), (data.labels, "labels")):
        if not value:
            raise InputError(f"no {what}: give --config.data.{what}=DIR (see --help)")
    opening: Opening = EmbeddedNights
    if from_signals:
        opening = functools.partial(RecordedNights, slots=settings.batches.slots)
    elif settings.learn_from == DEMOGRAPHICS:
        opening = NamesOnly
    fixed = {"split": split, "splits": _splits(data), "opening": opening}
    if isinstance(settings, head_settings.Staging):
        return labelled_nights.with_stages(folder, data.labels, **fixed)  # type: ignore[arg-type]
    assert isinstance(settings, head_settings.Diagnosis)
    table = outcomes.read_outcomes(data.labels)
    people = None
    if settings.model.demographics or settings.learn_from == DEMOGRAPHICS:
        people = outcomes.read_demographics(Path(data.labels) / outcomes.DEMOGRAPHICS)
    return labelled_nights.with_outcomes(
        folder,
        table,
        people,
        _encoding(settings),
        **fixed,  # type: ignore[arg-type]
    )


def _splits(data: LabelledDataSettings) -> Splits:
    return Splits(
        seed=data.split_seed,
        subject=data.subject or None,
        published=read_published(data.splits) if data.splits else None,
    )


def _encoding(settings: head_settings.Diagnosis) -> Encoding:
    return Encoding(**dataclasses.asdict(settings.encoding))


def _task(
    settings: HeadRun, nights: LabelledNights, backbone: SavedModel | None
) -> tuple[Staging | Diagnosis, HeadRun]:
    """The task, and the settings with what only the data tell."""
    trained = None
    if settings.learn_from == RECORDINGS:
        assert backbone is not None
        assert isinstance(backbone.config, FoundationConfig)
        trained = backbone.config
    _check_width(settings, nights, trained)
    kept = backbone if settings.learn_from == EMBEDDINGS else None
    shared: dict[str, Any] = {
        "numerics": settings.numerics,
        "backbone": trained,
        "kept": kept,
        "remat": settings.remat,
    }
    if isinstance(settings, head_settings.Staging):
        return Staging(settings.model, weights=settings.weights, **shared), settings
    assert isinstance(settings, head_settings.Diagnosis)
    assert nights.outcomes is not None
    settings = dataclasses.replace(settings, model=_with_labels(settings.model, nights))
    table = nights.outcomes
    labels = tuple(zip(table.labels, table.phenotypes, strict=True))
    task = Diagnosis(
        head_of(settings),
        ties=settings.ties,
        cohort=table if settings.risk_sets == "cohort" else None,
        outcomes=Outcomes(labels, _encoding(settings)),
        residual=settings.residual,
        night_decay=settings.night_decay,
        **shared,
    )
    return task, settings


def _with_labels(model: RiskConfig, nights: LabelledNights) -> RiskConfig:
    assert nights.outcomes is not None
    found = len(nights.outcomes.labels)
    if model.labels not in (0, found):
        raise InputError(
            f"--config.model.labels is {model.labels}, the tables have {found}: leave it at 0"
        )
    return dataclasses.replace(model, labels=found)


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


def _check_width(
    settings: HeadRun, nights: LabelledNights, trained: FoundationConfig | None
) -> None:
    """Whether the head takes what comes in."""
    wide = settings.model.embed_dim  # type: ignore[attr-defined]
    comes = None
    if trained is not None:
        comes = trained.embed_dim
    elif settings.learn_from == EMBEDDINGS:
        comes = nights.nights.width  # type: ignore[attr-defined]
    if comes not in (None, wide):
        raise InputError(
            f"the embeddings are {comes} wide and the head {wide}: set "
            f"--config.model.embed_dim={comes}"
        )


def _check_labels(train: LabelledNights, validation: LabelledNights) -> None:
    """Both splits come from the same tables; validation without any event says nothing."""
    assert train.outcomes is not None
    assert validation.outcomes is not None
    for name, table in (("training", train.outcomes), ("validation", validation.outcomes)):
        none = int((~table.event.any(axis=0)).sum())
        if none == len(table.labels):
            raise InputError(
                f"nobody of the {name} split has an event of any label: take other splits, or "
                "check is_event.csv"
            )
        if none:
            log.warning("%d of %d labels have no event in %s", none, len(table.labels), name)


def _start_from(
    settings: HeadRun,
    task: Staging | Diagnosis,
    nights: LabelledNights,
    backbone: SavedModel | None,
) -> dict[str, SavedModel]:
    """Models whose weights the run begins with, by the part of the state that takes them."""
    kind = "staging" if isinstance(task, Staging) else "diagnosis"
    parts = {}
    if isinstance(task, Diagnosis) and task.residual:
        assert isinstance(task.model, RiskConfig)
        assert nights.demographics is not None
        assert nights.outcomes is not None
        parts[f"{NETWORK}.{OFFSET}"] = demographic_start.fit(
            demographic_config(task.model),
            nights.demographics,
            nights.outcomes.time,
            nights.outcomes.event,
            task.ties,
            settings.seed,
        )
    if settings.init:
        parts[NETWORK] = saved_model.load(settings.init, kind)
    if task.backbone is not None and backbone is not None:
        parts[BACKBONE] = backbone
    return parts


def _made_by(backbone: SavedModel | None) -> dict[str, str]:
    return {} if backbone is None else {"backbone_sha256": backbone.content_hash}
