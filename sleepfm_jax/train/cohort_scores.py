"""The last known log hazards of everybody who trains, so that each batch sees whole risk sets.

In a batch of 32 a rare disease rarely has an event, and never its risk set. Here the loss is that
of the whole cohort, with the batch's new scores in place; only those have a gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax import losses


class Remembered(nnx.Variable):
    """What a run keeps from batch to batch, and no model folder holds."""


class CohortScores(nnx.Module):
    """Outcomes of N subjects and the scores that they had when they were last in a batch.

    Args:
        time: (N, L) as `losses.cox_partial_likelihood` takes it.
        event: (N, L) bool.
        ties: "breslow" or "efron".
    """

    def __init__(self, time: np.ndarray, event: np.ndarray, ties: str) -> None:
        self.time = Remembered(jnp.asarray(time))
        self.event = Remembered(jnp.asarray(event))
        self.order = Remembered(jnp.asarray(np.argsort(-time, axis=0, kind="stable"), jnp.int32))
        self.scores = Remembered(jnp.zeros(time.shape, jnp.float32))
        self.ties = ties

    def __call__(self, log_hazard: jax.Array, subject: jax.Array) -> jax.Array:
        """The cohort's loss after a batch, whose scores are kept.

        Its gradient is N / B times that of the B subjects' scores: what the gradient of the whole
        cohort is on average.

        Args:
            log_hazard: (B, L).
            subject: (B,) row in the cohort; negative for an empty row. Several nights of one
                subject count as their mean.
        """
        N = self.scores.shape[0]
        rows = jnp.where(subject < 0, N, subject)  # beyond the last row: dropped
        old = self.scores[...].astype(log_hazard.dtype)
        count = jnp.zeros((N, 1), old.dtype).at[rows].add(1, mode="drop")
        total = jnp.zeros_like(old).at[rows].add(log_hazard, mode="drop")
        scores = jnp.where(count > 0, total / jnp.maximum(count, 1), old)
        loss = losses.cox_partial_likelihood(
            scores, self.time[...], self.event[...], self.ties, self.order[...]
        )
        self.scores[...] = jax.lax.stop_gradient(scores).astype(jnp.float32)
        known = jax.lax.stop_gradient(loss)
        return known + N / jnp.maximum((subject >= 0).sum(), 1) * (loss - known)
