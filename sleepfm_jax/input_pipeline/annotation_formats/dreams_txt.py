"""DREAMS text: `[Hypnogram]` with a code every 5 seconds, or `[Spindles/C3-A1]` with events."""

from sleepfm_jax.input_pipeline.annotation_formats import marks
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark
from sleepfm_jax.input_pipeline.hypnogram import STEP, UNSCORED

# Of the database's own description; 0 is S4, which joins N3.
STAGES: dict[float, int]
STAGES = {5: 0, 4: 4, 3: 1, 2: 2, 1: 3, 0: 3, -1: UNSCORED, -2: UNSCORED, -3: UNSCORED}


def recognises(document: Document) -> bool:
    """Whether the first line is a title in brackets and numbers alone follow."""
    if not document.is_text or not document.lines[0].strip().startswith("["):
        return False
    title, *rest = (line.strip() for line in document.lines[:3])
    return title.endswith("]") and all(set(line) <= set("0123456789.+-e \t") for line in rest)


def read(document: Document) -> Annotations:
    """Reads stages, or events with onset and duration in seconds.

    Raises:
        InputError: a line holds something else, or a stage is unknown.
    """
    title = document.lines[0].strip()[1:-1]
    if title.casefold().startswith("hypnogram"):
        found = [
            Mark(row * STEP, STEP, line, stage=_stage(document, line))
            for row, line in enumerate(document.lines[1:])
        ]
    else:
        found = [_event(document, title, line) for line in document.lines[1:]]
    return marks.gather(document, found)


def _stage(document: Document, line: str) -> int:
    try:
        return STAGES[float(line)]
    except (KeyError, ValueError):
        raise document.fault(
            f"holds the stage {line.strip()[:40]!r}, which is not known: DREAMS has 5 Wake, 4 REM, "
            "3 S1, 2 S2, 1 S3, 0 S4 and -1 to -3 for movement and unknown"
        ) from None


def _event(document: Document, title: str, line: str) -> Mark:
    text, _, channel = title.partition("/")
    try:
        onset, duration = map(float, line.split()[:2])
    except ValueError:
        raise document.fault(
            f"holds the line {line.strip()[:40]!r} where onset and duration in seconds should be: "
            "correct it"
        ) from None
    return Mark(onset, duration, text, channel or None)
