"""The task of pretraining the foundation model on five-minute windows (spec §2)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.train.contrastive import ContrastiveModel, ContrastiveTask
from sleepfm_jax.train.tasks import Batch


@dataclasses.dataclass(frozen=True)
class Pretraining(ContrastiveTask):
    """Contrastive pretraining of the foundation model."""

    model: FoundationConfig

    @property
    def modalities(self) -> Sequence[str]:
        """Names of the four modalities."""
        return [modality.name for modality in Modality]

    def present(self, batch: Mapping[str, Any]) -> jax.Array:
        """Which modalities windows have, (B, M)."""
        return present(batch["modality"])

    def network(self, rngs: nnx.Rngs) -> SleepFM:
        """A newborn foundation model."""
        return SleepFM(self.model, self.numerics, remat=self.remat, rngs=rngs)

    def forward(self, model: ContrastiveModel, batch: Batch) -> jax.Array:
        """Pooled embeddings (B, M, E) of signals (B, C, T), modality (B, C) and patches (B,)."""
        return model.network(batch["signals"], batch["modality"], batch["patches"]).pooled


def present(modality: jax.Array | np.ndarray) -> jax.Array:
    """Which modalities windows have: tags (B, C) to (B, M)."""
    return (modality[..., None] == jnp.arange(len(Modality))).any(axis=1)
