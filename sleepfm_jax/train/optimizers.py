"""Optimisers by name, from optax: the published SGD with step decay, AdamW with cosine decay."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax

from sleepfm_jax.errors import InputError

NAMES = ("sgd", "adamw")
SCHEDULES = ("constant", "step", "cosine", "plateau")


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """An optimiser; the defaults are the published pretraining's (spec §2).

    Attributes:
        name: "sgd" (momentum, no weight decay) or "adamw".
        learning_rate: at its peak.
        schedule: "constant", "step" (× `decay_rate` every `decay_epochs`), "cosine" (to zero at
            the end of the run) or "plateau" (× `decay_rate` whenever `patience` validations in a
            row were not better).
        decay_rate: of the step and plateau schedules.
        decay_epochs: of the step schedule.
        patience: of the plateau schedule.
        warmup_steps: over which the rate rises linearly from zero.
        momentum: of SGD.
        weight_decay: of AdamW.
        decay_all: whether it acts on all parameters, as published for the heads, or only on arrays
            of two axes and more (no biases, norms, temperature).
        clip_norm: gradients are scaled down to this global norm; 0: never.
    """

    name: str = "sgd"
    learning_rate: float = 1e-3
    schedule: str = "step"
    decay_rate: float = 0.1
    decay_epochs: float = 2
    patience: int = 10
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 0.0
    decay_all: bool = False
    clip_norm: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in NAMES or self.schedule not in SCHEDULES:
            raise InputError(
                f"--config.optimizer names {self.name!r} with schedule {self.schedule!r}: choose "
                f"from {', '.join(NAMES)} and from {', '.join(SCHEDULES)}"
            )


def schedule(settings: OptimizerSettings, steps: int, epoch_steps: int) -> optax.Schedule:
    """The learning rate at each step.

    Args:
        settings: which schedule.
        steps: of the whole run.
        epoch_steps: steps of one pass over the data.
    """
    peak = settings.learning_rate
    after: optax.Schedule
    if settings.schedule == "step":
        every = max(1, round(settings.decay_epochs * epoch_steps))
        after = optax.exponential_decay(peak, every, settings.decay_rate, staircase=True)
    elif settings.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(1, steps - settings.warmup_steps))
    else:
        after = optax.constant_schedule(peak)
    if not settings.warmup_steps:
        return after
    rise = optax.linear_schedule(0.0, peak, settings.warmup_steps)
    return optax.join_schedules([rise, after], [settings.warmup_steps])


def make(
    settings: OptimizerSettings,
    rate: optax.Schedule,
    nonnegative: Callable[[tuple[Any, ...]], bool],
) -> optax.GradientTransformation:
    """The transformation of gradients into updates.

    Args:
        settings: which optimiser.
        rate: the learning rate at each step.
        nonnegative: of a parameter's path; such parameters are clamped at zero after each step.
    """
    core = (
        optax.sgd(rate, settings.momentum)
        if settings.name == "sgd"
        else optax.adamw(
            rate, weight_decay=settings.weight_decay, mask=None if settings.decay_all else _matrices
        )
    )

    def clamped(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: nonnegative(path), params)

    clip = [optax.clip_by_global_norm(settings.clip_norm)] if settings.clip_norm else []
    return optax.chain(*clip, core, optax.masked(optax.keep_params_nonnegative(), clamped))


def _matrices(params: Any) -> Any:
    return jax.tree.map(lambda array: array.ndim > 1, params)
