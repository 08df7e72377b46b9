"""A head in training: the head itself, the foundation model beneath it if that is trained too."""

from typing import Any

import jax
from flax import nnx

from sleepfm_jax.models.end_to_end import embed_nights
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train.cohort_scores import CohortScores
from sleepfm_jax.train.export import BACKBONE, saved_model_of
from sleepfm_jax.train.tasks import Batch


class HeadInTraining(nnx.Module):
    """What a state of the tasks of spec §3 holds.

    Args:
        network: the head.
        backbone: the foundation model, where signals come in.
        cohort: outcomes and last scores of all subjects, where risk sets are the whole cohort's.
    """

    def __init__(
        self,
        network: nnx.Module,
        backbone: SleepFM | None = None,
        cohort: CohortScores | None = None,
    ) -> None:
        self.network: Any = network
        self.backbone = nnx.data(backbone)
        self.cohort = nnx.data(cohort)

    def __call__(self, batch: Batch, *more: jax.Array) -> jax.Array:
        """The head's outputs for nights of stored embeddings, or for runs of windows of signals."""
        if self.backbone is None:
            nights = batch["embeddings"], batch["present"], batch["steps"]
        else:
            signals, modality, patches = batch["signals"], batch["modality"], batch["patches"]
            nights = (*embed_nights(self.backbone, signals, modality, patches), patches)
        return self.network(*nights, *more)


def build(
    head: nnx.Module,
    backbone: FoundationConfig | None,
    numerics: Numerics,
    remat: bool,
    rngs: nnx.Rngs,
    cohort: CohortScores | None = None,
) -> HeadInTraining:
    """A head, on a newborn foundation model if there is one."""
    beneath = None if backbone is None else SleepFM(backbone, numerics, remat=remat, rngs=rngs)
    return HeadInTraining(head, beneath, cohort)


def with_backbone(
    head: SavedModel,
    kind: str,
    params: Any,
    extra: Any,
    trained: FoundationConfig | None,
    kept: SavedModel | None,
) -> dict[str, SavedModel]:
    """A folder of models: the head and the foundation model whose embeddings it takes.

    Args:
        head: as it is now.
        kind: "staging" or "diagnosis".
        params: of the state.
        extra: of the state.
        trained: size of the foundation model that was trained too; None: there is none.
        kept: the foundation model that made the embeddings, if it is known.
    """
    if trained is not None:
        backbone = saved_model_of(params, extra, trained, head.provenance, BACKBONE)
        return {"base": backbone, kind: head}
    return {kind: head} if kept is None else {"base": kept, kind: head}
