"""The task of pretraining: modalities of one window find each other in the batch (spec §2)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax import losses
from sleepfm_jax.evaluate import retrieval
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.losses import Contrastive
from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train.export import TEMPERATURE, saved_model_of
from sleepfm_jax.train.tasks import Batch, Metrics

OBJECTIVES = {"leave_one_out": losses.leave_one_out, "pairwise": losses.pairwise}


class ContrastiveModel(nnx.Module):
    """The foundation model and the temperature that scales its similarities.

    Args:
        network: the foundation model.
        temperature: initial t; similarities are scaled by exp(t).
        numerics: types.
    """

    def __init__(self, network: SleepFM, temperature: float, numerics: Numerics) -> None:
        self.network = network
        self.temperature = nnx.Param(jnp.asarray(temperature, numerics.param_dtype))


@dataclasses.dataclass(frozen=True)
class Pretraining:
    """Contrastive pretraining of the foundation model.

    Attributes:
        model: its size.
        numerics: types and precision.
        loss: "leave_one_out" or "pairwise".
        temperature: initial t, trained and clamped at zero.
        remat: whether activations are computed again in the backward pass instead of kept.
    """

    model: FoundationConfig
    numerics: Numerics = dataclasses.field(default_factory=Numerics)
    loss: str = "leave_one_out"
    temperature: float = 0.0
    remat: bool = False

    def build(self, rngs: nnx.Rngs) -> ContrastiveModel:
        """A newborn model."""
        network = SleepFM(self.model, self.numerics, remat=self.remat, rngs=rngs)
        return ContrastiveModel(network, self.temperature, self.numerics)

    def forward(self, model: ContrastiveModel, batch: Batch) -> jax.Array:
        """Pooled embeddings (B, M, E) of signals (B, C, T), modality (B, C) and patches (B,)."""
        return model.network(batch["signals"], batch["modality"], batch["patches"]).pooled

    def objective(
        self, model: ContrastiveModel, outputs: jax.Array, batch: Batch
    ) -> tuple[jax.Array, Metrics]:
        """The contrastive loss of embeddings (B, M, E), with each term's loss and accuracy."""
        found = self._contrast(model, outputs, batch["modality"])
        return found.loss, {"temperature": model.temperature[...], **_by_term(self.terms, found)}

    def evaluate(self, outputs: np.ndarray, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Retrieval across modalities among the windows (N, M, E), and their spread."""
        held = np.asarray(present(batch["modality"]))  # (N, M)
        some = held.any(axis=1)  # the last batch is filled up with nothing
        names = [modality.name for modality in Modality]
        found = retrieval.retrieval(outputs[some], held[some]).metrics(names)
        spread = retrieval.spread(outputs[some], held[some])
        return {
            **{f"retrieval/{name}": value for name, value in found.items()},
            **{f"spread/{name}": float(s) for name, s in zip(names, spread, strict=True)},
        }

    def export(self, params: Any, extra: Any, provenance: dict[str, Any]) -> SavedModel:
        """The foundation model, with the temperature."""
        return saved_model_of(params, extra, self.model, provenance)

    def nonnegative(self, path: tuple[Any, ...]) -> bool:
        """The temperature is."""
        return getattr(path[-1], "key", None) == TEMPERATURE

    @property
    def terms(self) -> list[str]:
        """Names of the loss's terms, in its order."""
        names = [modality.name for modality in Modality]
        if self.loss == "leave_one_out":
            return [f"{name}-others" for name in names]
        return [f"{names[i]}-{names[j]}" for i, j in losses.pairs(len(names))]

    def _contrast(
        self, model: ContrastiveModel, outputs: jax.Array, modality: jax.Array
    ) -> Contrastive:
        return OBJECTIVES[self.loss](outputs, present(modality), model.temperature[...])


def present(modality: jax.Array | np.ndarray) -> jax.Array:
    """Which modalities windows have: tags (B, C) to (B, M)."""
    return (modality[..., None] == jnp.arange(len(Modality))).any(axis=1)


def _by_term(names: list[str], found: Contrastive) -> Metrics:
    """Loss and accuracy of each term, the mean of its two directions and each of them."""
    share = found.samples / jnp.maximum(found.samples.sum(), 1)  # (K,)
    metrics = {"accuracy": jnp.minimum((share @ found.accuracy).mean(), 1.0)}  # shares round
    for name, loss, accuracy in zip(names, found.terms, found.accuracy, strict=True):
        for direction, l, a in zip(("row", "column"), loss, accuracy, strict=True):  # noqa: E741
            metrics[f"loss/{name}/{direction}"] = l
            metrics[f"accuracy/{name}/{direction}"] = a
    return metrics
