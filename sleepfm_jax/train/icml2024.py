"""The tasks of the ICML 2024 system: towers that find each other, and its supervised baseline."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax import losses
from sleepfm_jax.evaluate import staging as evaluation
from sleepfm_jax.input_pipeline import clips
from sleepfm_jax.models.effnet import (
    EffNet,
    EffNetConfig,
    SupervisedEffNet,
    SupervisedEffNetConfig,
)
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train.contrastive import ContrastiveModel, ContrastiveTask
from sleepfm_jax.train.export import saved_model_of
from sleepfm_jax.train.tasks import Batch, Metrics

EVERYTHING = "all"


@dataclasses.dataclass(frozen=True)
class Towers(ContrastiveTask):
    """Contrastive pretraining of three towers on clips (spec §5).

    Attributes:
        role: of the model that a run leaves.
        provenance: under what the run's settings are kept in it.
    """

    model: EffNetConfig

    role: ClassVar[str] = "towers"
    provenance: ClassVar[str] = "pretraining"

    @property
    def modalities(self) -> Sequence[str]:
        """Names of the three modalities."""
        return clips.MODALITIES

    def present(self, batch: Mapping[str, Any]) -> Any:
        """Which modalities clips have, (B, 3)."""
        return batch["present"]

    def network(self, rngs: nnx.Rngs) -> EffNet:
        """Newborn towers."""
        return EffNet(self.model, self.numerics, remat=self.remat, rngs=rngs)

    def forward(self, model: ContrastiveModel, batch: Batch) -> jax.Array:
        """Embeddings (B, 3, E) of clips (B, 9, T) that have some modalities (B, 3)."""
        return model.network(batch["clips"], batch["present"])


class StageTowerInTraining(nnx.Module):
    """What a state of the supervised task holds.

    Args:
        network: the tower.
    """

    def __init__(self, network: SupervisedEffNet) -> None:
        self.network = network


@dataclasses.dataclass(frozen=True)
class StageTower:
    """Sleep stages from clips without pretraining, what the probe is compared with (spec §5).

    Attributes:
        model: size of the tower; it takes the channels of `modality`.
        numerics: types and precision.
        modality: "respiratory", "sleep_stages" or "ekg"; "all": the nine channels of the three.
        weights: of the five stages in the loss.
        remat: whether activations are computed again in the backward pass instead of kept.
        role: of the model that a run leaves.
        provenance: under what the run's settings are kept in it.
    """

    model: SupervisedEffNetConfig
    numerics: Numerics = dataclasses.field(default_factory=Numerics)
    modality: str = "sleep_stages"
    weights: tuple[float, ...] = (1.0,) * 5
    remat: bool = False

    role: ClassVar[str] = "stage_tower"
    provenance: ClassVar[str] = "finetuning"

    def build(self, rngs: nnx.Rngs) -> StageTowerInTraining:
        """A newborn tower."""
        network = SupervisedEffNet(self.model, self.numerics, remat=self.remat, rngs=rngs)
        return StageTowerInTraining(network)

    def forward(self, model: StageTowerInTraining, batch: Batch) -> jax.Array:
        """Logits (B, 5) of the clips' channels; zeros where the modality is absent."""
        return model.network(batch["clips"][:, channels_of(self.modality)], self._rows(batch))

    def objective(
        self, model: StageTowerInTraining, outputs: jax.Array, batch: Batch
    ) -> tuple[jax.Array, Metrics]:
        """The weighted cross-entropy of logits (B, 5) over scored clips, and their accuracy."""
        del model
        stages = jnp.where(self._rows(batch), batch["stage"], -1)  # (B,)
        scored = stages >= 0
        right = (outputs.argmax(axis=-1) == stages) & scored
        accuracy = right.sum() / jnp.maximum(scored.sum(), 1)
        return losses.staging(outputs, stages, self.weights), {"accuracy": accuracy}

    def evaluate(self, outputs: np.ndarray, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Agreement with the scorer over held-out clips."""
        rows = np.asarray(self._rows(batch))
        confusion = evaluation.confusion(batch["stage"][rows], outputs[rows].argmax(axis=-1))
        measures = (evaluation.accuracy, evaluation.macro_f1, evaluation.kappa)
        return {f"{measure.__name__}/30s": float(measure(confusion)) for measure in measures}

    def export(self, params: Any, extra: Any, provenance: dict[str, Any]) -> SavedModel:
        """The tower."""
        return saved_model_of(params, extra, self.model, provenance)

    def nonnegative(self, path: tuple[Any, ...]) -> bool:
        """No parameter is."""
        del path
        return False

    def _rows(self, batch: Mapping[str, Any]) -> Any:
        """Which clips have the modality, or any of the three, (B,)."""
        if self.modality == EVERYTHING:
            return batch["present"].any(axis=-1)
        return batch["present"][:, clips.MODALITIES.index(self.modality)]


def channels_of(modality: str) -> slice:
    """The places of a clip that are a modality's; "all": the nine of the three."""
    counts = list(clips.COUNTS.values())
    if modality == EVERYTHING:
        return slice(0, sum(counts))
    place = clips.MODALITIES.index(modality)
    first = sum(counts[:place])
    return slice(first, first + counts[place])
