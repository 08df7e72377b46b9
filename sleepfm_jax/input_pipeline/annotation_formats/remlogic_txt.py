"""Text that Embla RemLogic exports, as in the CAP Sleep Database: `SLEEP-S2` at a time of day."""

import datetime

from sleepfm_jax.input_pipeline.annotation_formats import clock, marks, stage_words
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark

TITLE = "remlogic event export"
TIME, EVENT, DURATION = "time [", "event", "duration"


def recognises(document: Document) -> bool:
    """Whether the first line says RemLogic, or the table's titles are its."""
    if not document.is_text:
        return False
    return document.lines[0].strip().casefold().startswith(TITLE) or _titles(document, 3) >= 0


def read(document: Document, start: datetime.datetime | None = None) -> Annotations:
    """Reads stages and events; times of day count from `start`, which the file does not tell.

    Raises:
        InputError: there is no table, or a row has no time, no duration or an unknown stage.
    """
    above = _titles(document, len(document.lines))
    if above < 0:
        raise document.fault(
            "has no line with Time [hh:mm:ss] and Event: export the events with these columns"
        )
    names = document.titles(above)
    time, duration = (
        next((name for name in names if name.startswith(title)), "") for title in (TIME, DURATION)
    )
    rows = [row for row in document.rows(above) if row[EVENT]]
    texts = [row[EVENT] for row in rows]
    begins = clock.from_start(document, [row[time] for row in rows], texts, start)
    return marks.gather(
        document,
        [
            _mark(document, begin, row.get(duration, ""), row[EVENT], row.get("location", ""))
            for begin, row in zip(begins, rows, strict=True)
        ],
    )


def _titles(document: Document, lines: int) -> int:
    """Which line has the table's titles; −1: none of the first `lines`."""
    for number in range(min(lines, len(document.lines))):
        names = document.titles(number)
        if EVENT in names and any(name.startswith(TIME) for name in names):
            return number
    return -1


def _mark(document: Document, begin: float, duration: str, text: str, location: str) -> Mark:
    try:
        seconds = float(duration.replace(",", ".") or 0)
    except ValueError:
        raise document.fault(
            f"holds the duration {duration[:40]!r}, which is no number of seconds: correct it"
        ) from None
    if not text.upper().startswith("SLEEP-"):
        return Mark(begin, seconds, text, location or None, marks.recognise(document, text))
    stage = stage_words.stage(text)
    if stage is None:
        raise marks.unknown_stage(document, text)
    return Mark(begin, seconds, text, location or None, stage)
