"""The task of disease risk: log hazards of many diseases from one night (spec §3)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from sleepfm_jax import losses
from sleepfm_jax.evaluate.concordance import concordance
from sleepfm_jax.input_pipeline.outcomes import OutcomeTable
from sleepfm_jax.models.disease_risk import (
    DemographicRisk,
    DemographicRiskConfig,
    DiseaseRisk,
    RiskConfig,
    SupervisedRisk,
    SupervisedRiskConfig,
)
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import Outcomes, SavedModel
from sleepfm_jax.train import heads, optimizers
from sleepfm_jax.train.cohort_scores import CohortScores
from sleepfm_jax.train.export import NETWORK, arrays_of, name_of, saved_model_of
from sleepfm_jax.train.heads import HeadInTraining
from sleepfm_jax.train.residual_risk import NIGHT, OFFSET, ResidualRisk, fold
from sleepfm_jax.train.tasks import Batch, Metrics

ROLE = "diagnosis"
Config = RiskConfig | DemographicRiskConfig | SupervisedRiskConfig


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Disease risk from embeddings, from signals, or from demographics alone, by the model's type.

    Attributes:
        model: size of the head.
        numerics: types and precision.
        ties: "breslow" or "efron".
        cohort: outcomes of all who train, for risk sets of the whole cohort; None: of the batch.
        outcomes: what the log hazards are of, kept with the model.
        backbone: size of the foundation model that is trained too; None: embeddings come in.
        kept: the foundation model that made the embeddings, kept beside the head.
        remat: of the foundation model, or of a supervised model.
        residual: whether age and sex are fitted first and fixed, and the night adds to them
            (`residual_risk`).
        night_decay: weight decay of the last layer's weights on the night, where `residual`.
    """

    model: Config
    numerics: Numerics = dataclasses.field(default_factory=Numerics)
    ties: str = "breslow"
    cohort: OutcomeTable | None = None
    outcomes: Outcomes | None = None
    backbone: FoundationConfig | None = None
    kept: SavedModel | None = None
    remat: bool = False
    residual: bool = False
    night_decay: float = 0.0

    @property
    def role(self) -> str:
        """Of the head among the models that a run leaves."""
        return ROLE

    def build(self, rngs: nnx.Rngs) -> HeadInTraining:
        """A newborn head, and what stands around it."""
        cohort = self.cohort and CohortScores(self.cohort.time, self.cohort.event, self.ties)
        return heads.build(
            self._head(rngs), self.backbone, self.numerics, self.remat, rngs, cohort or None
        )

    def _head(self, rngs: nnx.Rngs) -> nnx.Module:
        if self.residual:
            assert isinstance(self.model, RiskConfig)
            return ResidualRisk(self.model, self.numerics, rngs=rngs)
        if isinstance(self.model, RiskConfig):
            return DiseaseRisk(self.model, self.numerics, rngs=rngs)
        if isinstance(self.model, SupervisedRiskConfig):
            return SupervisedRisk(self.model, self.numerics, self.remat, rngs=rngs)
        return DemographicRisk(self.model, self.numerics, rngs=rngs)

    def forward(self, model: HeadInTraining, batch: Batch) -> jax.Array:
        """Log hazards (B, L)."""
        if isinstance(self.model, DemographicRiskConfig):
            return model.network(batch["demographics"])
        more = (batch["demographics"],) if self.model.demographics else ()
        if isinstance(self.model, SupervisedRiskConfig):
            return model.network(batch["signals"], batch["modality"], batch["patches"], *more)
        return model(batch, *more)

    def objective(
        self, model: HeadInTraining, outputs: jax.Array, batch: Batch
    ) -> tuple[jax.Array, Metrics]:
        """Cox's partial likelihood of log hazards (B, L), averaged over labels.

        Batches of held-out nights name no subjects: their risk sets are among themselves.
        """
        events = {"events": batch["event"].sum()}
        if model.cohort is not None and "subject" in batch:
            return model.cohort(outputs, batch["subject"]), events
        loss = losses.cox_partial_likelihood(outputs, batch["time"], batch["event"], self.ties)
        return loss, events

    def evaluate(self, outputs: np.ndarray, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Harrell's C-index over held-out nights, the mean over the labels that have one."""
        found = concordance(outputs, batch["time"], batch["event"])  # (L,)
        known = found[np.isfinite(found)]
        mean = {"concordance": float(known.mean())} if len(known) else {}
        return {**mean, "labels": float(len(known))}

    def export(self, params: Any, extra: Any, provenance: dict[str, Any]) -> dict[str, SavedModel]:
        """The head with what its hazards are of, and its foundation model where that is known."""
        if self.residual:
            weights = fold(arrays_of(params, extra, NETWORK))
            head = SavedModel(self.model, weights, provenance)
        else:
            head = saved_model_of(params, extra, self.model, provenance)
        head = dataclasses.replace(head, outcomes=self.outcomes)
        return heads.with_backbone(head, self.role, params, extra, self.backbone, self.kept)

    def nonnegative(self, path: tuple[Any, ...]) -> bool:
        """No parameter is."""
        del path
        return False

    @property
    def decays(self) -> dict[optimizers.Rule, float]:
        """Weight decays other than the optimiser's, by what they are of."""
        if not self.residual:
            return {}
        night = f"{NETWORK}.{NIGHT}.risk.out.kernel"
        return {
            lambda path: name_of(path) == night: self.night_decay,
            lambda path: name_of(path).startswith(f"{NETWORK}.{OFFSET}."): 0.0,
        }
