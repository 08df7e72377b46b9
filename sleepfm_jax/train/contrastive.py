"""What contrastive tasks share: modalities of one sample find each other in the batch (spec §2)."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax import losses
from sleepfm_jax.evaluate import retrieval
from sleepfm_jax.losses import Contrastive
from sleepfm_jax.models.kinds import Config
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train.export import TEMPERATURE, saved_model_of
from sleepfm_jax.train.tasks import Batch, Metrics

OBJECTIVES = {"leave_one_out": losses.leave_one_out, "pairwise": losses.pairwise}


class ContrastiveModel(nnx.Module):
    """A network of several modalities and the temperature that scales its similarities.

    Args:
        network: that embeds each modality.
        temperature: initial t; similarities are scaled by exp(t).
        numerics: types.
    """

    def __init__(self, network: nnx.Module, temperature: float, numerics: Numerics) -> None:
        self.network: Any = network
        self.temperature = nnx.Param(jnp.asarray(temperature, numerics.param_dtype))


@dataclasses.dataclass(frozen=True)
class ContrastiveTask(abc.ABC):
    """A task whose outputs are embeddings (B, M, E).

    Attributes:
        model: size of the network.
        numerics: types and precision.
        loss: "leave_one_out" or "pairwise".
        temperature: initial t, trained and clamped at zero.
        remat: whether activations are computed again in the backward pass instead of kept.
    """

    model: Config
    numerics: Numerics = dataclasses.field(default_factory=Numerics)
    loss: str = "leave_one_out"
    temperature: float = 0.0
    remat: bool = False

    @property
    @abc.abstractmethod
    def modalities(self) -> Sequence[str]:
        """Names of the M modalities."""

    @abc.abstractmethod
    def present(self, batch: Mapping[str, Any]) -> Any:
        """Which modalities samples have, (B, M)."""

    @abc.abstractmethod
    def network(self, rngs: nnx.Rngs) -> nnx.Module:
        """A newborn network."""

    @abc.abstractmethod
    def forward(self, model: ContrastiveModel, batch: Batch) -> jax.Array:
        """Embeddings (B, M, E) of a batch."""

    def build(self, rngs: nnx.Rngs) -> ContrastiveModel:
        """A newborn model."""
        return ContrastiveModel(self.network(rngs), self.temperature, self.numerics)

    def objective(
        self, model: ContrastiveModel, outputs: jax.Array, batch: Batch
    ) -> tuple[jax.Array, Metrics]:
        """The contrastive loss of embeddings (B, M, E), with each term's loss and accuracy."""
        temperature = model.temperature[...]
        found = OBJECTIVES[self.loss](outputs, self.present(batch), temperature)
        return found.loss, {"temperature": temperature, **_by_term(self.terms, found)}

    def evaluate(self, outputs: np.ndarray, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Retrieval across modalities among the samples (N, M, E), and their spread."""
        held = np.asarray(self.present(batch))  # (N, M)
        some = held.any(axis=1)  # the last batch is filled up with nothing
        found = retrieval.retrieval(outputs[some], held[some]).metrics(self.modalities)
        spread = retrieval.spread(outputs[some], held[some])
        return {
            **{f"retrieval/{name}": value for name, value in found.items()},
            **{f"spread/{m}": float(s) for m, s in zip(self.modalities, spread, strict=True)},
        }

    def export(self, params: Any, extra: Any, provenance: dict[str, Any]) -> SavedModel:
        """The network, with the temperature."""
        return saved_model_of(params, extra, self.model, provenance)

    def nonnegative(self, path: tuple[Any, ...]) -> bool:
        """The temperature is."""
        return getattr(path[-1], "key", None) == TEMPERATURE

    @property
    def terms(self) -> list[str]:
        """Names of the loss's terms, in its order."""
        names = self.modalities
        if self.loss == "leave_one_out":
            return [f"{name}-others" for name in names]
        return [f"{names[i]}-{names[j]}" for i, j in losses.pairs(len(names))]


def _by_term(names: list[str], found: Contrastive) -> Metrics:
    """Loss and accuracy of each term, the mean of its two directions and each of them."""
    share = found.samples / jnp.maximum(found.samples.sum(), 1)  # (K,)
    metrics = {"accuracy": jnp.minimum((share @ found.accuracy).mean(), 1.0)}  # shares round
    for name, loss, accuracy in zip(names, found.terms, found.accuracy, strict=True):
        for direction, l, a in zip(("row", "column"), loss, accuracy, strict=True):  # noqa: E741
            metrics[f"loss/{name}/{direction}"] = l
            metrics[f"accuracy/{name}/{direction}"] = a
    return metrics
