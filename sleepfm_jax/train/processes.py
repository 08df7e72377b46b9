"""Several processes as one run: found out from Slurm, or told; a lost one ends the others."""

import os
from typing import Any

import jax

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import lost_process
from sleepfm_jax.train.settings import ProcessSettings

MEET = 300  # seconds that processes wait for one another at the start


def join(settings: ProcessSettings) -> None:
    """Connects this process with the others of the run; alone it does nothing.

    To be called before anything touches a device.

    Raises:
        InputError: the settings do not fit together, or the others cannot be reached.
    """
    # A batch script itself has a number of tasks and a process number too, but no step.
    step = {"SLURM_PROCID", "SLURM_STEP_NODELIST"} <= os.environ.keys()
    slurm = step and int(os.environ.get("SLURM_NTASKS", 1)) > 1
    if settings.count <= 1 and not (settings.count == 0 and slurm):
        return
    explicit: dict[str, Any] = {}
    if settings.count > 1:
        if not settings.coordinator or not 0 <= settings.index < settings.count:
            raise InputError(
                f"process {settings.index} of {settings.count} with coordinator "
                f"{settings.coordinator!r}: give --config.processes.coordinator=HOST:PORT and an "
                "index from 0 up on each"
            )
        explicit = {
            "coordinator_address": settings.coordinator,
            "num_processes": settings.count,
            "process_id": settings.index,
        }
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            **explicit,
            initialization_timeout=MEET,
            heartbeat_timeout_seconds=settings.timeout,
            shutdown_timeout_seconds=settings.timeout,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"the {settings.count or 'Slurm'} processes of the run did not find each other "
            f"({error}): see that all were started and {settings.coordinator or 'the first node'} "
            "can be reached"
        ) from error
    lost_process.speak_when_aborted()
