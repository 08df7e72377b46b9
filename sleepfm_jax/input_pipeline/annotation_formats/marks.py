"""Marks, the rows of any label file: gathered into one hypnogram and one list of events."""

import dataclasses
import math
import re
from collections.abc import Iterable

import numpy as np

from sleepfm_jax.input_pipeline.annotation_formats import stage_words
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.hypnogram import EPOCH, Hypnogram

ROUNDING = 1.0  # seconds by which a stage may run into the next where clocks are whole seconds
_KINDS = (
    ("central apnea", r"central.*apn|apn.*central|^csa$"),
    ("mixed apnea", r"mixed.*apn|apn.*mixed"),
    ("obstructive apnea", r"obstr.*apn|apn.*obstr|^osa$"),
    ("hypopnea", r"hypopn|hypoapn"),
    ("apnea", r"apn"),
    ("rera", r"rera|respiratory effort related"),
    ("arousal", r"arous"),
    ("desaturation", r"desat"),
    ("limb movement", r"plm|limb|leg.?mov|^lm"),
    ("lights off", r"lights?[ _-]*(off|out)"),
    ("lights on", r"lights?[ _-]*on"),
    ("spindle", r"spindle"),
    ("k-complex", r"k-?\s?complex"),
    ("artifact", r"arti?e?fact"),
    ("snore", r"snor"),
    ("position", r"^(position|body|supine|prone|left|right|upright)"),
    ("bradycardia", r"bradyc"),
    ("tachycardia", r"tachyc"),
)


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened in the night.

    Attributes:
        start: seconds from the recording's start.
        duration: seconds; 0: a moment, or not said.
        kind: "arousal", "central apnea", "obstructive apnea", "mixed apnea", "apnea", "hypopnea",
            "rera", "desaturation", "limb movement", "lights off", "lights on", "spindle",
            "k-complex", "artifact", "snore", "position", "bradycardia", "tachycardia", or "other".
        text: the file's own words.
        channel: the label that it was seen in, if that is said.
    """

    start: float
    duration: float
    kind: str
    text: str
    channel: str | None


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What people marked in a night.

    Attributes:
        hypnogram: None: the file holds no stages.
        events: all else, by start.
    """

    hypnogram: Hypnogram | None
    events: tuple[Event, ...]


@dataclasses.dataclass(frozen=True)
class Mark:
    """One row of a label file.

    Attributes:
        start: seconds from the recording's start.
        duration: seconds; of a stage 0 means until the next, and 30 s for the last.
        text: the file's own words.
        channel: if one is named.
        stage: 0 to 4, −1 unscored; None: an event.
    """

    start: float
    duration: float
    text: str
    channel: str | None = None
    stage: int | None = None


def kind(text: str) -> str:
    """What kind of event a text tells of; see `Event.kind`."""
    words = text.casefold()
    return next((name for name, pattern in _KINDS if re.search(pattern, words)), "other")


def recognise(document: Document, text: str) -> int | None:
    """The stage that a text among events means; None: an event.

    Raises:
        InputError: it says that it is a sleep stage, but not one that is known.
    """
    try:
        return stage_words.stage_among_events(text)
    except ValueError:
        raise unknown_stage(document, text) from None


def unknown_stage(document: Document, text: object) -> Exception:
    """The error about a stage that is not known."""
    return document.fault(
        f"holds the stage {str(text)[:40]!r}, which is not known: stages are W, N1, N2, N3 "
        "(or 1 to 4), R and ? for unscored; write one of these"
    )


def gather(document: Document, marks: Iterable[Mark]) -> Annotations:
    """Sorts marks into a hypnogram and events.

    Equal rows count once. A stage that runs up to a second into the next ends there.

    Raises:
        InputError: a time is no number, a duration negative, or stages overlap.
    """
    found = list(marks)
    for mark in found:
        if not math.isfinite(mark.start) or not 0 <= mark.duration < math.inf:
            raise document.fault(
                f"holds {mark.text[:40]!r} at {mark.start:g} s for {mark.duration:g} s, which "
                "cannot be: correct the row"
            )
    events = sorted(
        (
            Event(m.start, m.duration, kind(m.text), m.text, m.channel)
            for m in found
            if m.stage is None
        ),
        key=lambda event: event.start,
    )
    return Annotations(_hypnogram(document, found), tuple(events))


def _hypnogram(document: Document, marks: list[Mark]) -> Hypnogram | None:
    rows = sorted({(m.start, m.duration, m.stage) for m in marks if m.stage is not None})
    if not rows:
        return None
    starts = np.array([start for start, _, _ in rows])
    durations = np.array([duration for _, duration, _ in rows])
    following = np.append(starts[1:], starts[-1] + EPOCH)
    stops = np.where(durations > 0, starts + durations, following)
    excess = stops[:-1] - starts[1:]
    rounded = np.minimum(ROUNDING, (stops - starts)[:-1] / 2)
    wrong = np.flatnonzero((excess > rounded) | (starts[1:] == starts[:-1]))
    if len(wrong):
        raise document.fault(
            f"holds overlapping stages (one lasts until {stops[wrong[0]]:g} s, the next begins at "
            f"{starts[wrong[0] + 1]:g} s): keep one scoring of each stretch"
        )
    stops[:-1] = np.minimum(stops[:-1], starts[1:])
    stages = np.array([stage for _, _, stage in rows], np.int8)
    return Hypnogram(starts, stops, stages)
