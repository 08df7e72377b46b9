"""The task of sleep staging: a stage for every 5 seconds of a night (spec §3)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax import losses
from sleepfm_jax.evaluate import staging as evaluation
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.sleep_stager import SleepStager, StagingConfig
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train import heads, optimizers
from sleepfm_jax.train.export import saved_model_of
from sleepfm_jax.train.heads import HeadInTraining
from sleepfm_jax.train.tasks import Batch, Metrics


@dataclasses.dataclass(frozen=True)
class Staging:
    """Sleep stages from embeddings, or from signals through a foundation model that learns too.

    Attributes:
        model: size of the head.
        numerics: types and precision.
        weights: of the five stages in the loss.
        backbone: size of the foundation model that is trained too; None: embeddings come in.
        kept: the foundation model that made the embeddings, kept beside the head.
        remat: of the foundation model.
    """

    model: StagingConfig
    numerics: Numerics = dataclasses.field(default_factory=Numerics)
    weights: tuple[float, ...] = losses.STAGE_WEIGHTS
    backbone: FoundationConfig | None = None
    kept: SavedModel | None = None
    remat: bool = False

    @property
    def role(self) -> str:
        """Of the head among the models that a run leaves."""
        return "staging"

    @property
    def decays(self) -> dict[optimizers.Rule, float]:
        """No weight decays other than the optimiser's."""
        return {}

    def build(self, rngs: nnx.Rngs) -> HeadInTraining:
        """A newborn head, and backbone if there is one."""
        head = SleepStager(self.model, self.numerics, rngs=rngs)
        return heads.build(head, self.backbone, self.numerics, self.remat, rngs)

    def forward(self, model: HeadInTraining, batch: Batch) -> jax.Array:
        """Logits (B, T, 5)."""
        return model(batch)

    def objective(
        self, model: HeadInTraining, outputs: jax.Array, batch: Batch
    ) -> tuple[jax.Array, Metrics]:
        """The weighted cross-entropy of logits (B, T, 5) over scored steps, and their accuracy."""
        del model
        stages = batch["stages"]
        scored = stages >= 0
        right = (outputs.argmax(axis=-1) == stages) & scored
        accuracy = right.sum() / jnp.maximum(scored.sum(), 1)
        return losses.staging(outputs, stages, self.weights), {"accuracy": accuracy}

    def evaluate(self, outputs: np.ndarray, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Agreement with the scorer over held-out nights, every 5 s and every 30 s."""
        found = {}
        for name, logits, stages in (
            ("5s", outputs, batch["stages"]),
            ("30s", *by_epoch(outputs, batch["stages"])),
        ):
            confusion = evaluation.confusion(stages.ravel(), logits.argmax(axis=-1).ravel())
            for measure in (evaluation.accuracy, evaluation.macro_f1, evaluation.kappa):
                found[f"{measure.__name__}/{name}"] = float(measure(confusion))
        return found

    def export(self, params: Any, extra: Any, provenance: dict[str, Any]) -> dict[str, SavedModel]:
        """The head, with its foundation model where that is known."""
        head = saved_model_of(params, extra, self.model, provenance)
        return heads.with_backbone(head, self.role, params, extra, self.backbone, self.kept)

    def nonnegative(self, path: tuple[Any, ...]) -> bool:
        """No parameter is."""
        del path
        return False


def by_epoch(logits: np.ndarray, stages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every 30 s: the mean of six probabilities, and the stage at the epoch's middle.

    Args:
        logits: (N, T, 5), T a multiple of six.
        stages: (N, T).

    Returns:
        probabilities (N, T/6, 5) and stages (N, T/6).
    """
    N, T, K = logits.shape
    likely = np.exp(logits - logits.max(axis=-1, keepdims=True))
    likely /= likely.sum(axis=-1, keepdims=True)
    return likely.reshape(N, T // 6, 6, K).mean(axis=2), stages[:, 3::6]
