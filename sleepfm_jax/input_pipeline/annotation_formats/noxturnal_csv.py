"""Tables that Noxturnal exports, as in STAGES: Start Time, Duration (seconds), Event."""

import datetime

from sleepfm_jax.input_pipeline.annotation_formats import clock, marks
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark

STARTS = ("start time", "start")
STOPS = ("end time", "end", "stop time")
DURATIONS = ("duration (seconds)", "duration (s)", "duration [s]", "duration")
EVENTS = ("event", "event type", "type")


def recognises(document: Document) -> bool:
    """Whether the first line names a start, an event, and a duration or an end."""
    if not document.is_text:
        return False
    titles = document.titles()
    return all(
        any(name in titles for name in names) for names in (STARTS, EVENTS, DURATIONS + STOPS)
    )


def read(document: Document, start: datetime.datetime | None = None) -> Annotations:
    """Reads stages (Wake, Stage1 or N1, …, UnknownStage) and events at times of day.

    Times count from the row "Recording start" if there is one, else from `start`.

    Raises:
        InputError: a row has no time of day or duration, or a stage is unknown.
    """
    titles = document.titles()
    begin, stop, duration, event = (
        next((name for name in names if name in titles), "")
        for names in (STARTS, STOPS, DURATIONS, EVENTS)
    )
    rows = [row for row in document.rows() if row[begin] or row[event]]
    texts = [row[event] for row in rows]
    begins = clock.from_start(document, [row[begin] for row in rows], texts, start)
    return marks.gather(
        document,
        [
            Mark(
                time,
                _seconds(document, row.get(duration, ""), row[begin], row.get(stop, "")),
                row[event],
                row.get("location") or row.get("signal") or None,
                marks.recognise(document, row[event]),
            )
            for time, row in zip(begins, rows, strict=True)
            if not clock.says_start(row[event])
        ],
    )


def _seconds(document: Document, duration: str, begin: str, stop: str) -> float:
    if not duration and stop:
        ends, begins = clock.seconds_of_day(stop), clock.seconds_of_day(begin)
        if ends is not None and begins is not None:
            return (ends - begins) % clock.DAY
    try:
        return float(duration)
    except ValueError:
        raise document.fault(
            f"holds {duration or stop!r:.42} where a duration in seconds should be: correct the row"
        ) from None
