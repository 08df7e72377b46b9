"""One night to the records of its clips, with the stages of whatever label file belongs to it."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, clip_record, night_clips
from sleepfm_jax.input_pipeline.clip_times import ClipTimes
from sleepfm_jax.input_pipeline.clips import SECONDS, Clip, Rule, modalities_present
from sleepfm_jax.input_pipeline.hypnogram import UNSCORED, Hypnogram
from sleepfm_jax.input_pipeline.labelled_nights import LATE
from sleepfm_jax.input_pipeline.night_clips import NightClips, Scale
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.store_index import NightEntry
from sleepfm_jax.jobs import night_file, sources
from sleepfm_jax.jobs.night_file import Known, Task

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class HowToCut:
    """What decides of clips beside the recording.

    Attributes:
        labels: folder of label files, named as the nights; None: they lie beside the recordings.
        scale: "night" or "none", as of `night_clips.of_recording`.
        places: which place single labels fill.
        rule: which places are emptied and which clips dropped.
    """

    labels: Path | None = None
    scale: Scale = "night"
    places: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    rule: Rule = dataclasses.field(default_factory=Rule)


def cut_clips(task: Task, splits: Splits, how: HowToCut) -> str | None:
    """Cuts one night.

    Args:
        task: a recording (HDF5), EDF, BDF or WFDB (.hea) file, and where its records shall wait.
        splits: how nights are split.
        how: to cut.

    Returns:
        None, or the reason why the night is not wanted.

    Raises:
        InputError: it or its labels cannot be used, or no clip of it; or the disk is full.
    """
    source, file = task
    known = night_file.known(source, splits)
    if known is None:
        return night_file.UNPUBLISHED
    hypnogram = find_hypnogram(known.path, known.name, how.labels)
    try:
        night = night_clips.of_recording(known.path, hypnogram, how.scale, how.places, how.rule)
    except night_clips.AnnotationsOnly:
        return "annotations only"
    _note_labels_beyond(night, known, hypnogram)
    modalities = modalities_present(night.present).sum(axis=1)  # (K,)
    kept = np.flatnonzero(modalities >= how.rule.least_modalities)
    entry = _entry(night, kept, known, how.rule)
    file.write(_records(night, kept, known, entry.labels), lambda: entry)
    return None


def _entry(night: NightClips, kept: np.ndarray, known: Known, rule: Rule) -> NightEntry:
    """The night's line in the index; raises an InputError if no clip was kept."""
    few = f"fewer than {rule.least_modalities} modalities"
    if not len(kept):
        raise InputError(
            f"{known.path} has no clip to use ({len(night)} with {few}): leave it out, or say what "
            "its channels are with --place LABEL=PLACE"
        )
    emptied = {reason: int(where[kept].sum()) for reason, where in night.emptied.items()}
    return NightEntry(
        name=known.name,
        subject=known.subject,
        split=known.split,
        labels=tuple(label or "" for label in night.labels),
        records=len(kept),
        dropped={few: len(night) - len(kept)} if len(kept) < len(night) else {},
        emptied={reason: count for reason, count in emptied.items() if count},
        more=ClipTimes(float(night.starts[0]), kept, night.stages[kept]).content(),
    )


def find_hypnogram(path: Path, name: str, labels: Path | None) -> Hypnogram | None:
    """The stages of a night; None where there is no label file, or only a recording without any.

    Args:
        path: of the recording.
        name: of the night, by which its label file is found.
        labels: folder of label files; None: the recording's own.

    Raises:
        InputError: a label file cannot be read, or holds no stages.
    """
    found = label_file(path, name, labels)
    if found is None:
        return None
    if labels is None and found.suffix.lower() in sources.SIGNAL_SUFFIXES:
        return annotations.read(found).hypnogram
    return annotations.read_hypnogram(found)


def label_file(path: Path, name: str, labels: Path | None) -> Path | None:
    """The file with the stages of a night, which may be the recording; arguments as there."""
    if labels is None:
        return annotations.find(path.parent, path.stem)
    return annotations.find_below(labels, name)


def _note_labels_beyond(night: NightClips, known: Known, hypnogram: Hypnogram | None) -> None:
    """Labels that go on long after a night's end may be another night's, or of another clock."""
    if hypnogram is None or not len(hypnogram.stops):
        return
    beyond = hypnogram.stops[hypnogram.stages != UNSCORED].max(initial=0.0) - night.starts[-1]
    if beyond > 2 * SECONDS + LATE:  # the last clip, and a rest that is none
        log.warning(
            "check that these labels are of this night: %s: they go on %g s after its last clip",
            known.path,
            beyond - SECONDS,
        )


def _records(
    night: NightClips, kept: np.ndarray, known: Known, labels: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    for number in kept:
        clip = Clip(
            night.signals[number],
            night.present[number],
            int(night.stages[number]),
            known.name,
            float(night.starts[number]),
        )
        yield clip_record.encode(clip, known.subject, labels)
