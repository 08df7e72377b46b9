"""Labelled nights as a head's run takes them: opened, split, checked, in batches."""

import dataclasses
import functools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import labelled_nights, night_batches, outcomes
from sleepfm_jax.input_pipeline.batch_streams import Batch, Endless, Fixed
from sleepfm_jax.input_pipeline.embedded_nights import EmbeddedNights
from sleepfm_jax.input_pipeline.labelled_nights import LabelledNights
from sleepfm_jax.input_pipeline.nights_by_number import NamesOnly, Opening
from sleepfm_jax.input_pipeline.recorded_nights import RecordedNights
from sleepfm_jax.saved_model import SavedModel
from sleepfm_jax.train import head_settings
from sleepfm_jax.train.head_settings import DEMOGRAPHICS, RECORDINGS, SIGNALS, HeadSettings

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class HeadData:
    """What a run learns from and is judged by.

    Attributes:
        nights: those that train.
        training: batches of them, without end.
        everybody: all of them once, for what is measured after the run.
        held_out: batches of the nights that judge; None: there are none.
    """

    nights: LabelledNights
    training: Endless
    everybody: Iterable[Batch]
    held_out: Iterable[Batch] | None


def open_data(settings: HeadSettings, part: int, parts: int) -> HeadData:
    """Opens the nights of a run.

    Args:
        settings: of the run.
        part: of the batches that this process loads, from 0.
        parts: how many there are.

    Raises:
        InputError: the data cannot be used.
    """
    nights = _nights(settings, settings.data.train)
    size = settings.batches.batch_size
    fixed: dict[str, Any] = {"crop": settings.batches.crop, "max_steps": settings.longest}

    def once(nights: LabelledNights) -> Iterable[Batch]:
        return _WithoutSubjects(night_batches.held_out(nights, size, part, parts, **fixed))

    held_out = None
    if settings.data.validation:
        validation = _nights(settings, settings.data.validation)
        _check_events(nights, "training")
        _check_events(validation, "validation")
        held_out = once(validation)
    training = night_batches.training(nights, size, settings.seed, part, parts, **fixed)
    return HeadData(nights, training, once(nights), held_out)


def check_backbone(nights: LabelledNights, backbone: SavedModel) -> None:
    """Whether stored embeddings are this foundation model's.

    Args:
        nights: as embeddings, or as signals, which any model may take.
        backbone: the foundation model.

    Raises:
        InputError: they are another's.
    """
    made_by = getattr(nights.nights, "model", "")
    if made_by and made_by != backbone.content_hash:
        raise InputError(
            "the embeddings were made by another model than --config.backbone: give the model that "
            "`sleepfm-jax embed` was given, or embed the nights again"
        )


class _WithoutSubjects:
    """Batches whose subjects have no row in the cohort that trains."""

    def __init__(self, batches: Fixed) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._batches:
            yield {name: rows for name, rows in batch.items() if name != "subject"}


def _nights(settings: HeadSettings, split: str) -> LabelledNights:
    """The labelled nights of a split."""
    data = settings.data
    what = "recordings" if settings.learn_from in (RECORDINGS, SIGNALS) else "embeddings"
    folder = getattr(data, what)
    for value, name in ((folder, what), (data.labels, "labels")):
        if not value:
            raise InputError(f"no {name}: give --config.data.{name}=DIR (see --help)")
    splits, opening = data.read(), _opening(settings)
    if isinstance(settings, head_settings.Diagnosis):
        return labelled_nights.with_outcomes(
            folder,
            outcomes.read_outcomes(data.labels),
            _people(settings),
            settings.encoding,
            split,
            splits,
            opening,
        )
    return labelled_nights.with_stages(folder, data.labels, split, splits, opening)


def _opening(settings: HeadSettings) -> Opening:
    if settings.learn_from in (RECORDINGS, SIGNALS):
        return functools.partial(RecordedNights, slots=settings.batches.slots)
    return NamesOnly if settings.learn_from == DEMOGRAPHICS else EmbeddedNights


def _people(settings: head_settings.Diagnosis) -> outcomes.Demographics | None:
    """Ages and sexes, where the model takes them."""
    if not settings.model.demographics and settings.learn_from != DEMOGRAPHICS:
        return None
    return outcomes.read_demographics(Path(settings.data.labels) / outcomes.DEMOGRAPHICS)


def _check_events(nights: LabelledNights, split: str) -> None:
    """Outcomes without any event teach and say nothing."""
    if nights.outcomes is None:
        return
    labels = len(nights.outcomes.labels)
    none = int((~nights.outcomes.event.any(axis=0)).sum())
    if none == labels:
        raise InputError(
            f"nobody of the {split} split has an event of any label: take other splits, or check "
            "is_event.csv"
        )
    if none:
        log.warning("%d of %d labels have no event in the %s split", none, labels, split)
