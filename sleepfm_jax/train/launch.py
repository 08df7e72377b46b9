"""From settings to a running loop, for any task; and what pretraining is made of."""

import dataclasses
import json
import logging
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import batches, store_kinds, windows
from sleepfm_jax.input_pipeline.windows import Source
from sleepfm_jax.train import loop, lost_process, plans, processes
from sleepfm_jax.train.loop import Plan
from sleepfm_jax.train.mesh import batch_shard, make_mesh
from sleepfm_jax.train.occupancy import occupied
from sleepfm_jax.train.pretraining import Pretraining
from sleepfm_jax.train.settings import DataSettings
from sleepfm_jax.train.settings import Pretraining as Settings

log = logging.getLogger(__name__)

SETTINGS = "settings.json"
S = TypeVar("S", bound=Any)


def pretrain(settings: Settings, workdir: Path) -> signal.Signals | None:
    """Pretrains a foundation model in a work directory, or goes on with what is there.

    Args:
        settings: of the run.
        workdir: the run's folder; after the run `model/` in it is the best model.

    Returns:
        None when done; the signal, if one stopped the run.

    Raises:
        InputError: the settings, the data or the folder cannot be used.
    """
    return start(settings, workdir, prepare)


def start(settings: S, workdir: Path, prepare: Callable[[S], Plan]) -> signal.Signals | None:
    """A run of any task.

    Args:
        settings: of the run; they know which processes train together.
        workdir: the run's folder.
        prepare: makes data, task and optimiser.

    Returns:
        None when done; the signal, if one stopped the run.

    Raises:
        InputError: the settings, the data or the folder cannot be used.
    """
    processes.join(settings.processes)
    plan = prepare(settings)
    with occupied(workdir), lost_process.named():
        _note(settings, workdir)
        return loop.run(plan, workdir)


def prepare(settings: Settings) -> Plan:
    """Data, task and optimiser of a run, on all devices of all processes.

    Raises:
        InputError: the settings or the data cannot be used.
    """
    mesh = make_mesh(**dataclasses.asdict(settings.mesh))
    part, parts = batch_shard(mesh)
    plans.check_batch(settings.batches.batch_size, settings.chunks, mesh)
    batching = dataclasses.replace(settings.batches, seed=settings.seed)
    train = _open(settings.data, settings.data.train)
    stream = batches.pretraining(train, batching, part, parts)
    held_out = None
    if settings.data.validation:
        held_out = batches.held_out(
            _open(settings.data, settings.data.validation),
            settings.loop.validation_windows,
            batching.batch_size,
            batching.slots,
            batching.seed,
            part,
            parts,
        )
    task = Pretraining(
        settings.model, settings.numerics, settings.loss, settings.temperature, settings.remat
    )
    plans.say(len(train), "windows", settings, stream, mesh)
    return plans.plan_of(
        settings,
        task,
        mesh,
        stream,
        held_out,
        start_from=plans.named_start(settings),
        provenance={"pretraining": dataclasses.asdict(settings)},
    )


def _open(data: DataSettings, split: str) -> Source:
    """The windows of a split, packed or not."""
    if not data.path:
        raise InputError("no data: give --config.data.path=STORE, made by `sleepfm-jax pack`")
    path = Path(data.path)
    if (path / store_kinds.WINDOWS.file).exists() or not path.exists():
        return windows.open_store(path, split)
    return windows.open_recordings([path], split, data.read())


def _note(settings: Any, workdir: Path) -> None:
    """Keeps the settings beside the run; says which of them differ from those it began with."""
    if jax.process_index() != 0:
        return
    path = workdir / SETTINGS
    now = json.loads(json.dumps(dataclasses.asdict(settings)))
    try:
        if path.exists():
            before = _flat(_mapping(json.loads(path.read_text(encoding="utf-8"))))
            for name, value in _flat(now).items():
                if name in before and before[name] != value:
                    log.warning("%s is now %r, was %r", name, value, before[name])
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{workdir} cannot be written to ({error.strerror}): give another --workdir"
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): remove it and start again") from error


def _mapping(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError("no values by name")
    return found


def _flat(tree: Mapping[str, Any], name: str = "config") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, Mapping)
        found |= _flat(value, f"{name}.{key}") if nested else {f"{name}.{key}": value}
    return found
