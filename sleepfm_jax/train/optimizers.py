"""Optimisers by name, from optax: the published SGD with step decay, AdamW with cosine decay."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from sleepfm_jax.errors import InputError

Path = tuple[Any, ...]  # of a parameter in the state
Rule = Callable[[Path], bool]
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


def plateau(settings: OptimizerSettings) -> int:
    """Validations without a better loss that the rate bears; −1: any number."""
    return settings.patience if settings.schedule == "plateau" else -1


def make(
    settings: OptimizerSettings,
    rate: optax.Schedule,
    nonnegative: Rule,
    decays: Mapping[Rule, float] | None = None,
) -> optax.GradientTransformation:
    """The transformation of gradients into updates.

    Args:
        settings: which optimiser.
        rate: the learning rate at each step.
        nonnegative: of a parameter's path; such parameters are clamped at zero after each step.
        decays: weight decays of AdamW for the parameters whose path a rule takes, instead of the
            settings'; 0 also for what must stay as it is.
    """
    if settings.name == "sgd":
        core = optax.sgd(rate, settings.momentum)
    else:
        core = _adamw(settings, rate, decays or {})
    clip = [optax.clip_by_global_norm(settings.clip_norm)] if settings.clip_norm else []
    clamp = optax.masked(optax.keep_params_nonnegative(), _where(nonnegative))
    return optax.chain(*clip, core, clamp)


def _adamw(
    settings: OptimizerSettings,
    rate: optax.Schedule,
    decays: Mapping[Rule, float],
) -> optax.GradientTransformation:
    def others(path: Path, array: jax.Array) -> bool:
        return (settings.decay_all or array.ndim > 1) and not any(rule(path) for rule in decays)

    if not decays:
        mask = None if settings.decay_all else _matrices
        return optax.adamw(rate, weight_decay=settings.weight_decay, mask=mask)
    return optax.chain(
        optax.scale_by_adam(),
        optax.add_decayed_weights(
            settings.weight_decay, lambda params: jax.tree_util.tree_map_with_path(others, params)
        ),
        *(optax.add_decayed_weights(decay, _where(rule)) for rule, decay in decays.items()),
        optax.scale_by_learning_rate(rate),
    )


def _where(rule: Rule) -> Callable[[Any], Any]:
    return lambda params: jax.tree_util.tree_map_with_path(lambda path, _: rule(path), params)


def _matrices(params: Any) -> Any:
    return jax.tree.map(lambda array: array.ndim > 1, params)
