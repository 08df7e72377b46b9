"""Age and sex fitted alone, before a night is looked at: what the night has to add to."""

import logging
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from sleepfm_jax import losses
from sleepfm_jax.models.disease_risk import DemographicRisk, DemographicRiskConfig
from sleepfm_jax.models.weights import extract
from sleepfm_jax.saved_model import SavedModel

log = logging.getLogger(__name__)

STEPS, RATE, DECAY = 400, 1e-2, 1e-2


def fit(
    config: DemographicRiskConfig,
    demographics: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    ties: str,
    seed: int,
) -> SavedModel:
    """A model of demographics alone, fitted to the whole cohort at every step.

    Args:
        config: its size; dropout is not used.
        demographics: (N, D), encoded.
        time: (N, L) as `losses.cox_partial_likelihood` takes it.
        event: (N, L) bool.
        ties: "breslow" or "efron".
        seed: of the initial weights.
    """
    log.info("fitting age and sex of %d subjects first, %d steps", len(time), STEPS)
    network = nnx.view(DemographicRisk(config, rngs=nnx.Rngs(seed)), deterministic=True)
    fitted = _fit(network, demographics, time, event, ties)
    return SavedModel(config, extract(fitted))


def _fit(
    network: DemographicRisk,
    demographics: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    ties: str,
) -> DemographicRisk:
    parts: Any = nnx.split(network, nnx.Param, ...)
    graph, start, rest = parts
    optimizer = optax.adamw(RATE, weight_decay=DECAY)

    @jax.jit
    def run(params: Any, demographics: jax.Array, time: jax.Array, event: jax.Array) -> Any:
        order = losses.risk_order(time)

        def loss(params: Any) -> jax.Array:
            scores = nnx.merge(graph, params, rest, copy=True)(demographics)
            return losses.cox_partial_likelihood(scores, time, event, ties, order)

        def step(_: int, state: tuple[Any, Any]) -> tuple[Any, Any]:
            params, memory = state
            updates, memory = optimizer.update(jax.grad(loss)(params), memory, params)
            return optax.apply_updates(params, updates), memory

        return jax.lax.fori_loop(0, STEPS, step, (params, optimizer.init(params)))[0]

    inputs = (jnp.asarray(x) for x in (demographics, time, event))
    return nnx.merge(graph, run(start, *inputs), rest)
