"""What people marked in a night, from any label file: its stages by time, and its events.

The format is recognised by content, whatever the file is called; docs/annotations.md lists them.
"""

import datetime
import os
import re
from collections.abc import Iterator
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.annotation_formats import (
    bids_events,
    cinc_mat,
    dreams_txt,
    edf_plus,
    luna_annot,
    noxturnal_csv,
    nsrr_xml,
    profusion_xml,
    remlogic_txt,
    staging_csv,
    wfdb_annotations,
    yasa_json,
)
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Event
from sleepfm_jax.input_pipeline.hypnogram import STAGES, UNSCORED, Hypnogram, epochs, most_likely

__all__ = [
    "STAGES",
    "UNSCORED",
    "Annotations",
    "Event",
    "Hypnogram",
    "epochs",
    "find",
    "find_below",
    "most_likely",
    "read",
    "read_hypnogram",
]

# Binary ones first: their bytes could be mistaken for text, never the other way.
IN_SECONDS = (
    edf_plus,
    cinc_mat,
    wfdb_annotations,
    profusion_xml,
    nsrr_xml,
    yasa_json,
    staging_csv,
    bids_events,
    dreams_txt,
)
AT_TIMES_OF_DAY = (remlogic_txt, noxturnal_csv, luna_annot)

_TEXT = (".csv", ".tsv", ".txt", ".xml", ".annot", ".json", ".CSV", ".TSV", ".TXT", ".XML")
_RECORDING = (".edf", ".bdf", ".EDF", ".BDF")  # which may hold annotations too
SUFFIXES = (*_TEXT, ".arousal", "-arousal.mat", *_RECORDING)
ENDINGS = ("_events", "-Hypnogram", "-profusion", "-nsrr", "_hypnogram", "-hypnogram")
BEGINNINGS = ("Hypnogram_", "HypnogramAASM_")


def read(path: str | os.PathLike[str], start: datetime.datetime | None = None) -> Annotations:
    """Reads a label file of any format in docs/annotations.md.

    Args:
        path: the file; its name decides nothing.
        start: when the recording began. Formats that write times of day count from it unless they
            tell it themselves; without either, the first row is taken for it, with a warning.

    Raises:
        InputError: the file cannot be read, its format is not known, or what it says cannot be:
            unknown stages, overlaps, times that are no numbers.
    """
    document = Document(path)
    for form in IN_SECONDS:
        if form.recognises(document):
            return form.read(document)
    for form in AT_TIMES_OF_DAY:
        if form.recognises(document):
            return form.read(document, start)
    raise document.fault(
        "is in no format that is known for labels: docs/annotations.md lists them; a CSV with "
        "Start, Stop and StageNumber (seconds, 0 to 4) always works"
    )


def read_hypnogram(
    path: str | os.PathLike[str], start: datetime.datetime | None = None
) -> Hypnogram:
    """Reads the stages of a label file.

    Args:
        path: the file; its name decides nothing.
        start: when the recording began, as in `read`.

    Raises:
        InputError: as `read`, or the file holds no stages.
    """
    hypnogram = read(path, start).hypnogram
    if hypnogram is None:
        raise InputError(f"{path} holds no sleep stages: give the file that has them")
    return hypnogram


def find(folder: str | os.PathLike[str], night: str) -> Path | None:
    """The label file of a night, by its name.

    Looked for are the night's name with each suffix of a label file, then what archives call them:
    `NIGHT_events.tsv` (also for a BIDS night that ends in _eeg), `NIGHT-profusion.xml`,
    `NIGHT-nsrr.xml`, `NIGHT-Hypnogram.edf` and, for Sleep-EDF's SC4001E0-PSG, SC4001EC-Hypnogram,
    `Hypnogram_NIGHT.txt`; last of all `NIGHT.edf`, which may be the recording itself.

    Args:
        folder: of label files, with the same subfolders as the nights, if these have any.
        night: the night's name, as jobs call it: `NIGHT` or `SUBFOLDER/NIGHT`.

    Returns:
        The first that is there, or None.
    """
    place = Path(folder) / night
    candidates = [place.with_name(name) for name in _names(place.name)]
    if sleep_edf := re.fullmatch(r"(S[CT]\d{4}[A-Z])[0-9A-Z]-PSG", place.name):
        candidates = sorted(place.parent.glob(f"{sleep_edf[1]}?-Hypnogram.edf")) + candidates
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def find_below(folder: str | os.PathLike[str], night: str) -> Path | None:
    """As `find`, but label files may also stand without the subfolder that the night has."""
    return find(folder, night) or find(folder, Path(night).name)


def _names(night: str) -> Iterator[str]:
    """What the label file of a night may be called."""
    bare = re.sub(r"_(eeg|psg|PSG)$|-PSG$", "", night)
    names = tuple(dict.fromkeys((bare, night)))  # BIDS has an _eeg.json that holds no labels
    for name in names:
        yield from (name + suffix for suffix in SUFFIXES if suffix not in _RECORDING)
        yield from (name + ending + suffix for ending in ENDINGS for suffix in SUFFIXES)
        yield from (begin + name + suffix for begin in BEGINNINGS for suffix in _TEXT)
    yield from (name + suffix for name in names for suffix in _RECORDING)
