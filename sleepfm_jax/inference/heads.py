"""The heads, one night at a time: stages every 5 seconds, log hazards of diseases."""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.tokenizer import PATCH
from sleepfm_jax.saved_model import SavedModel

BUCKET = 360  # steps, 30 minutes: nights are filled up to a multiple, and compiled once for each
STEPS = 6  # of a 30-second epoch; no piece of a long night ends within one


def load_stager(path: str | os.PathLike[str], numerics: Numerics | None = None) -> "Stager":
    """Loads the sleep stager of a folder of models.

    >>> from sleepfm_jax import inference
    >>> stager = inference.load_stager("MODELS")  # doctest: +SKIP
    >>> stager.stage(night).shape  # doctest: +SKIP
    (5760, 5)

    Args:
        path: a folder of models, a work directory of a run, or the model folder itself.
        numerics: types and precision; float32 at the highest precision if None.

    Raises:
        InputError: there is no sleep stager, or it is damaged.
    """
    return Stager(saved_model.load(path, "staging"), numerics)


def load_risk(path: str | os.PathLike[str], numerics: Numerics | None = None) -> "Risk":
    """Loads the model of disease risk of a folder of models.

    Args:
        path: a folder of models, a work directory of a run, or the model folder itself.
        numerics: types and precision; float32 at the highest precision if None.

    Raises:
        InputError: there is no model of disease risk, or it is damaged.
    """
    return Risk(saved_model.load(path, "diagnosis"), numerics)


class Stager:
    """A sleep stager with its weights, compiled once for each 30 minutes of length.

    Args:
        saved: configuration and weights.
        numerics: types and precision; float32 if None.
    """

    def __init__(self, saved: SavedModel, numerics: Numerics | None = None) -> None:
        self.config: Any = saved.config
        self.sha256 = saved.content_hash
        self._run = _compiled(saved, numerics, lambda logits: jax.nn.softmax(logits, axis=-1))

    def stage(self, night: NightEmbeddings) -> np.ndarray:
        """Stages a night.

        A night longer than the model's positional table (11.4 h) is staged in pieces of equal
        length, each by itself.

        Args:
            night: 5-second embeddings.

        Returns:
            (T, 5) float32, probabilities of Wake, N1, N2, N3 and REM at each 5-second step.

        Raises:
            InputError: the night has no embeddings, or they are of another width.
        """
        embeddings, present = _arrays(night, self.config.embed_dim)  # (M, T, E), (M,)
        T, longest = embeddings.shape[1], self.config.max_steps
        size = min(-(-T // -(-T // longest) // STEPS) * STEPS, longest)  # of a piece
        return np.concatenate(
            [
                self._piece(embeddings[:, first : first + size], present)
                for first in range(0, T, size)
            ]
        )

    def _piece(self, embeddings: np.ndarray, present: np.ndarray) -> np.ndarray:
        T = embeddings.shape[1]
        filled = _filled(embeddings, min(-(-T // BUCKET) * BUCKET, self.config.max_steps))
        return np.asarray(self._run(filled, present[None], np.array([T], np.int32)))[0, :T]


class Risk:
    """A model of disease risk with its weights, compiled once for each 30 minutes of length.

    Args:
        saved: configuration and weights.
        numerics: types and precision; float32 if None.
    """

    def __init__(self, saved: SavedModel, numerics: Numerics | None = None) -> None:
        self.config: Any = saved.config
        self.outcomes = saved.outcomes
        self.sha256 = saved.content_hash
        self._run = _compiled(saved, numerics, lambda log_hazard: log_hazard)

    def risk(
        self, night: NightEmbeddings | Night, demographics: np.ndarray | None = None
    ) -> np.ndarray:
        """Log hazards of a night, whatever its length.

        Args:
            night: 5-second embeddings; the signals, for a model that was trained on signals; for
                one of demographics alone it does not matter.
            demographics: (D,) as `outcomes.encoding` makes them; None for a model without.

        Returns:
            (L,) float32, of `outcomes.labels`.

        Raises:
            InputError: the night or the demographics are not what the model takes.
        """
        people = self._people(demographics)
        if isinstance(self.config, DemographicRiskConfig):
            return np.asarray(self._run(*people))[0]
        inputs = self._signals if isinstance(self.config, SupervisedRiskConfig) else self._steps
        return np.asarray(self._run(*inputs(night), *people))[0]

    def _people(self, demographics: np.ndarray | None) -> tuple[np.ndarray, ...]:
        wanted = self.config.demographics
        given = 0 if demographics is None else len(demographics)
        if given != wanted:
            raise InputError(
                f"the model takes {wanted} numbers beside a night, not {given}; give "
                + ("age and sex" if wanted else "none")
            )
        return () if demographics is None else (np.asarray(demographics, np.float32)[None],)

    def _steps(self, night: NightEmbeddings | Night) -> tuple[np.ndarray, ...]:
        if isinstance(night, Night):
            raise InputError(f"{night.name}: the model takes embeddings, not signals; embed it")
        embeddings, present = _arrays(night, self.config.embed_dim)
        T = embeddings.shape[1]
        filled = _filled(embeddings, -(-T // BUCKET) * BUCKET)
        return filled, present[None], np.array([T], np.int32)

    def _signals(self, night: NightEmbeddings | Night) -> tuple[np.ndarray, ...]:
        if not isinstance(night, Night):
            raise InputError(
                f"{night.name}: the model was trained on signals and takes no embeddings; give "
                "the recording"
            )
        C, samples = night.signals.shape
        S = samples // PATCH
        signals = np.zeros((1, C, -(-S // BUCKET) * BUCKET * PATCH), np.float32)
        signals[0, :, : S * PATCH] = night.signals[:, : S * PATCH]
        return signals, night.modality[None], np.array([S], np.int32)


def _compiled(
    saved: SavedModel, numerics: Numerics | None, finish: Callable[[jax.Array], jax.Array]
) -> Callable[..., jax.Array]:
    """The network on a batch, and what comes after it, in float32."""
    graph, state = nnx.split(saved_model.build(saved, numerics))
    weights, structure = jax.tree.flatten(state)

    @jax.jit
    def run(weights: list[jax.Array], *inputs: jax.Array) -> jax.Array:
        network = nnx.merge(graph, jax.tree.unflatten(structure, weights))
        return finish(network(*inputs).astype(jnp.float32))

    return lambda *inputs: run(weights, *inputs)


def _arrays(night: NightEmbeddings, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (M, T, E), zeros where a modality is absent, and which are present (M,)."""
    rows = night.sequence
    shapes = {array.shape for array in rows.values()}
    if len(shapes) != 1 or not set(rows) <= set(Modality.__members__):
        raise InputError(f"{night.name}: holds no 5-second embeddings; embed the night again")
    T, E = shapes.pop()
    if width != E or not T:
        raise InputError(
            f"{night.name}: its embeddings are {T} × {E} numbers, the head takes any number of "
            f"rows of {width}; embed the night with the model that belongs to the head"
        )
    embeddings = np.zeros((len(Modality), T, E), np.float32)
    for name, array in rows.items():
        embeddings[Modality[name]] = array
    return embeddings, np.array([modality.name in rows for modality in Modality])


def _filled(embeddings: np.ndarray, length: int) -> np.ndarray:
    """(M, T, E) as a batch of one, (1, M, length, E)."""
    return np.pad(embeddings, [(0, 0), (0, length - embeddings.shape[1]), (0, 0)])[None]
