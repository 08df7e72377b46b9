"""What the training loop asks of a task: a model, a forward pass, an objective, an evaluation."""

from collections.abc import Mapping
from typing import Any, Protocol

import jax
import numpy as np
from flax import nnx

from sleepfm_jax.saved_model import SavedModel

Batch = Mapping[str, jax.Array]
Metrics = dict[str, jax.Array]


class Task(Protocol):
    """What is trained.

    The forward pass treats windows one by one (but for batch statistics), the objective sees the
    whole global batch: so a step can go through the first in chunks and take the second at once.
    """

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        """A newborn model."""

    def forward(self, model: Any, batch: Batch) -> jax.Array:
        """Outputs (B, …) of all that the objective wants of the network, floating point."""

    def objective(self, model: Any, outputs: jax.Array, batch: Batch) -> tuple[jax.Array, Metrics]:
        """The loss over the whole batch and what to log of it, scalars.

        It may change what the model keeps beside its parameters.
        """

    def nonnegative(self, path: tuple[Any, ...]) -> bool:
        """Whether the parameter of this path is clamped at zero."""

    def evaluate(self, outputs: np.ndarray, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Numbers from outputs (N, …) and batch entries (N, …) of all held-out windows.

        The batch comes without signals and embeddings.
        """

    def export(
        self, params: Any, extra: Any, provenance: dict[str, Any]
    ) -> SavedModel | dict[str, SavedModel]:
        """The model to keep, or several by kind; all processes call it together."""
