"""The foundation model, one night at a time: its embeddings."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sleepfm_jax import saved_model
from sleepfm_jax.input_pipeline import nights
from sleepfm_jax.input_pipeline.convert import Source
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.input_pipeline.recordings import Recording
from sleepfm_jax.models.foundation import Embeddings
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.tokenizer import PATCH
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.version import __version__

WINDOW = 60  # patches: 5 minutes


DTYPES = ("float32", "bfloat16")
PRECISIONS = ("highest", "high", "default")  # of matrix products, as in `jax.lax.Precision`


def load(
    path: str | os.PathLike[str], dtype: str = "float32", precision: str = "highest"
) -> "Model":
    """Loads a model folder.

    >>> import sleepfm_jax
    >>> model = sleepfm_jax.load("MODEL")  # doctest: +SKIP
    >>> night = model.embed("night.edf")  # doctest: +SKIP
    >>> night.sequence["BAS"].shape, night.sequence_times[:3]  # doctest: +SKIP
    ((5760, 128), array([ 0.,  5., 10.]))
    >>> night.pooled["RESP"].shape  # doctest: +SKIP
    (96, 128)

    Args:
        path: a model folder, a folder of models, or the work directory of a run.
        dtype: in which the network computes: "float32", or "bfloat16" for accelerators.
        precision: of matrix products: "highest" for float32 all the way; "high" or "default" let
            accelerators round factors (to TensorFloat-32, for example). CPUs know one precision.

    Raises:
        InputError: the folder is no model or is damaged.
        ValueError: `dtype` or `precision` is none of these.
    """
    numerics = numerics_of(dtype, precision)
    return Model(saved_model.load(path, "base"), numerics, Path(path).resolve().name)


def numerics_of(dtype: str, precision: str) -> Numerics:
    """Types and precision by name.

    Args:
        dtype: as in `load`.
        precision: as in `load`.

    Raises:
        ValueError: `dtype` or `precision` is none of these.
    """
    if dtype not in DTYPES or precision not in PRECISIONS:
        raise ValueError(
            f"dtype is {dtype!r} and precision {precision!r}; choose from {', '.join(DTYPES)} and "
            f"from {', '.join(PRECISIONS)}"
        )
    return Numerics(dtype=dtype, precision=precision)


def provenance_of(saved: SavedModel, numerics: Numerics, name: str) -> dict[str, str]:
    """What is kept with all that a model makes.

    Args:
        saved: configuration and weights.
        numerics: types and precision.
        name: of the model, for people.
    """
    return {
        "model": name,
        "model_sha256": saved.content_hash,
        "dtype": numerics.dtype,
        "precision": numerics.precision,
        "embedded_by": f"sleepfm-jax {__version__}",
    }


class Model:
    """A network with its weights, compiled once for each number of channel slots.

    Args:
        saved: configuration and weights.
        numerics: types and precision; float32 if None.
        name: kept with what the model makes.
    """

    def __init__(
        self, saved: SavedModel, numerics: Numerics | None = None, name: str = "model"
    ) -> None:
        numerics = numerics or Numerics()
        graph, state = nnx.split(saved_model.build(saved, numerics))
        # Plain arrays: taking a state's variables apart at each call would cost a millisecond.
        self._weights, structure = jax.tree.flatten(state)
        self.config = saved.config
        self.provenance = provenance_of(saved, numerics, name)
        # On CPU calls overlap, a window fits the cache, and compiling for another number of
        # channels takes a second; accelerators want more at a time, and few shapes.
        self._batch, self._slot_step = (1, 1) if jax.default_backend() == "cpu" else (16, 4)

        @jax.jit
        def embed_windows(
            weights: list[jax.Array], signals: jax.Array, modality: jax.Array, patches: jax.Array
        ) -> Embeddings:
            network = nnx.merge(graph, jax.tree.unflatten(structure, weights))
            return network(signals.astype(jnp.float32), modality, patches)

        self._embed_windows = embed_windows

    def embed(
        self,
        source: "Source | Recording | Night",
        montage: Montage | None = None,
        threads: int | None = None,
    ) -> NightEmbeddings:
        """Embeds a night; the numbers are those of `sleepfm-jax embed`.

        >>> night = model.embed("night.edf")  # doctest: +SKIP
        >>> night.pooled["EKG"].shape, list(night.labels["EKG"])  # doctest: +SKIP
        ((96, 128), ['ECG II'])

        Args:
            source: path to EDF, BDF or a preprocessed HDF5; an `mne.io.Raw`; a recording from
                `recordings.open_recording`; or a night from `nights.load`.
            montage: which channels to use; None: the default rules (docs/channels.md).
            threads: that convert an EDF's channels; None: one a core.

        Returns:
            pooled (W, E) and sequence (S, E) by modality, with times in seconds. The last window
            may be partial; a rest of less than one patch (5 s) at the end has no row.

        Raises:
            InputError: the source cannot be read, has none of the four modalities, or is shorter
                than one patch.
        """
        if not isinstance(source, Night):
            source = nights.load(source, montage, threads or os.cpu_count() or 1)
        parts = [
            jax.tree.map(np.asarray, part)
            for part in self._dispatch(source.signals, source.modality)
        ]
        S = source.signals.shape[1] // PATCH
        windows = -(-S // WINDOW)
        pooled = np.concatenate([part.pooled for part in parts])[:windows]  # (W, M, E)
        sequence = np.concatenate([part.sequence for part in parts])  # (≥ W, M, 60, E)
        rows = sequence.swapaxes(0, 1).reshape(len(Modality), -1, sequence.shape[-1])[:, :S]
        present = [modality for modality in Modality if modality in source.modality]
        return NightEmbeddings(
            name=source.name,
            pooled={m.name: np.ascontiguousarray(pooled[:, m], np.float32) for m in present},
            sequence={m.name: np.ascontiguousarray(rows[m], np.float32) for m in present},
            labels={
                m.name: tuple(np.array(source.labels)[source.modality == m].tolist())
                for m in present
            },
            left_out=source.left_out,
            provenance={**source.provenance, **self.provenance},
        )

    def _dispatch(self, signals: np.ndarray, modality: np.ndarray) -> list[Embeddings]:
        """Sends every batch of windows on its way; calls return before they are computed."""
        slots = -(-len(signals) // self._slot_step) * self._slot_step
        return [
            self._embed_windows(self._weights, *batch)
            for batch in _batches(signals, modality, self._batch, slots)
        ]


def _batches(
    signals: np.ndarray, modality: np.ndarray, size: int, slots: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """A night in batches of one shape.

    Args:
        signals: (C, N) float16, 128 Hz.
        modality: (C,) int8.
        size: B, windows a batch.
        slots: of a window, at least C.

    Yields:
        signals (B, slots, 60·640), modality (B, slots), patches (B,); zeros, −1 and 0 where the
        night has no more.
    """
    C, samples = signals.shape
    S = samples // PATCH
    tags = np.full((size, slots), -1, np.int8)
    tags[:, :C] = modality
    for first in range(0, S, size * WINDOW):
        batch = np.zeros((size, slots, WINDOW * PATCH), signals.dtype)
        patches = np.clip(S - first - np.arange(size) * WINDOW, 0, WINDOW).astype(np.int32)  # (B,)
        for row, count in enumerate(patches):
            start = (first + row * WINDOW) * PATCH
            batch[row, :C, : count * PATCH] = signals[:, start : start + count * PATCH]
        yield batch, tags, patches
