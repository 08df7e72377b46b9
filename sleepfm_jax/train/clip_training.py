"""From settings to a running loop: data and task of the ICML 2024 networks."""

import dataclasses
import signal
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clip_batches, clips
from sleepfm_jax.input_pipeline.clips import Source
from sleepfm_jax.train import clip_settings, icml2024, launch, plans
from sleepfm_jax.train.loop import Plan
from sleepfm_jax.train.mesh import batch_shard, make_mesh

Settings = clip_settings.Towers | clip_settings.StageTower


def train(settings: Settings, workdir: Path) -> signal.Signals | None:
    """Trains towers, or the supervised one, in a work directory, or goes on with what is there.

    Args:
        settings: of the run.
        workdir: the run's folder; after the run `model/` in it is the best model.

    Returns:
        None when done; the signal, if one stopped the run.

    Raises:
        InputError: the settings, the data or the folder cannot be used.
    """
    return launch.start(settings, workdir, prepare)


def prepare(settings: Settings) -> Plan:
    """Data, task and optimiser of a run, on all devices of all processes.

    Raises:
        InputError: the settings or the data cannot be used.
    """
    mesh = make_mesh(**dataclasses.asdict(settings.mesh))
    shard = batch_shard(mesh)
    plans.check_batch(settings.batches.batch_size, settings.chunks, mesh)
    batching = dataclasses.replace(settings.batches, seed=settings.seed)
    source = _open(settings, settings.data.train)
    stream = clip_batches.training(source, batching, *shard)
    held_out = None
    if settings.data.validation:
        judged = _open(settings, settings.data.validation)
        held_out = clip_batches.held_out(judged, settings.loop.validation_windows, batching, *shard)
    task = _task(settings)
    plans.say(len(source), "clips", settings, stream, mesh)
    return plans.plan_of(
        settings,
        task,
        mesh,
        stream,
        held_out,
        start_from=plans.named_start(settings, task.role),
        provenance={task.provenance: dataclasses.asdict(settings)},
    )


def _task(settings: Settings) -> icml2024.Towers | icml2024.StageTower:
    if isinstance(settings, clip_settings.Towers):
        return icml2024.Towers(
            settings.model, settings.numerics, settings.loss, settings.temperature, settings.remat
        )
    return icml2024.StageTower(
        settings.model, settings.numerics, settings.modality, settings.weights, settings.remat
    )


def _open(settings: Settings, split: str) -> Source:
    """The clips of a split; to learn stages from, those that are scored."""
    if not settings.data.path:
        raise InputError("no data: give --config.data.path=STORE, made by `sleepfm-jax clip`")
    source = clips.open_store(settings.data.path, split)
    return source if isinstance(settings, clip_settings.Towers) else clips.scored(source)
