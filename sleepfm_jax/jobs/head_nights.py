"""Nights for the heads: stored 5-second embeddings, or recordings that are embedded on the way."""

import functools
import os
from collections.abc import Iterable
from pathlib import Path

from sleepfm_jax import inference, saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embeddings
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.jobs import embed, sources
from sleepfm_jax.jobs.sources import Source

SEQUENCE = "sequence"  # subfolder of stored embeddings that has a row every 5 s
BASE = "base"

Read = Night | NightEmbeddings | str  # the night, or the reason why there is none


def find(paths: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """All nights at and under `paths`; of a folder of stored embeddings, those of 5 seconds.

    Args:
        paths: recordings, stored embeddings (HDF5), EDF, BDF and WFDB (.hea) files, and folders of
            them.

    Raises:
        InputError: a path does not exist, or there is no night.
    """
    given = (Path(path) for path in paths)
    nights = [path / SEQUENCE if (path / SEQUENCE).is_dir() else path for path in given]
    return sources.find(nights, embed.SUFFIXES)


class Foundation:
    """The foundation model of a folder of models; it is built when the first recording comes.

    Attributes:
        sha256: of the model; empty if there is none.

    Args:
        folder: of models, or a run's work directory.
        montage: which channels of recordings to use; None: the default rules.
        dtype: in which it computes, as in `inference.load`.
        precision: of its matrix products, as in `inference.load`.
        threads: that convert a night's channels.
        needed: whether the head takes embeddings, rather than signals or neither.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        montage: Montage | None,
        dtype: str,
        precision: str,
        threads: int,
        needed: bool = True,
    ) -> None:
        self._needed = needed
        self._folder, self._dtype, self._precision = folder, dtype, precision
        self._montage = montage
        self._threads = threads
        try:
            self.sha256, self._lacking = saved_model.load(folder, BASE).content_hash, ""
        except InputError as error:  # a head by itself is enough for stored embeddings
            self.sha256, self._lacking = "", str(error)

    def read(self, source: Source) -> Read:
        """A night as its file has it, or the reason why it has none; threads may call it.

        Raises:
            InputError: the file cannot be used, its embeddings are another model's, or it is a
                recording and the folder has no foundation model.
        """
        is_signals = source.path.suffix.lower() in sources.SIGNAL_SUFFIXES
        step = None if is_signals else embeddings.step(source.path)
        if step is None:
            if self._needed and not self.sha256:
                raise InputError(
                    f"{source.path} is a recording, which needs the foundation model beside the "
                    f"head ({self._lacking}): give stored embeddings, or a folder with base/"
                )
            return embed.load(source.path, self._montage, self._threads)
        if step != embeddings.STEPS[SEQUENCE]:
            return f"embeddings every {step:g} s, not every 5 s"
        night = embeddings.read_sequence(source.path, source.name)
        made_by = night.provenance.get("model_sha256", "")
        if made_by and self.sha256 and made_by != self.sha256:
            raise InputError(
                f"{source.path} was embedded by another foundation model than the one beside the "
                "head: embed it again, or give the recording"
            )
        return night

    def embed(self, night: Night | NightEmbeddings) -> NightEmbeddings:
        """The night's 5-second embeddings.

        Raises:
            InputError: it has none of the four modalities or is shorter than 5 s.
        """
        return night if isinstance(night, NightEmbeddings) else self._model.embed(night)

    @functools.cached_property
    def _model(self) -> inference.Model:
        return inference.load(self._folder, self._dtype, self._precision)
