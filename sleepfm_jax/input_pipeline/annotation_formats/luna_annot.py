"""Luna's `.annot`: class, instance, channel, start, stop and meta, parted by tabs."""

import datetime

from sleepfm_jax.input_pipeline.annotation_formats import clock, marks
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark

COLUMNS = ["class", "instance", "channel", "start", "stop"]
NEXT = "..."  # for a stop: where the next row starts


def recognises(document: Document) -> bool:
    """Whether the columns are named, or rows of tabs have times where Luna has them."""
    if not document.is_text or ("\t" not in document.lines[0] and document.lines[0][:1] != "#"):
        return False
    rows = [line.split("\t") for line in document.lines if not line.startswith("#")]
    if not rows:
        return False
    if [title.strip().casefold() for title in rows[0][:5]] == COLUMNS:
        return True
    return all(len(row) in (5, 6) and _is_time(row[3]) for row in rows[:10])


def read(document: Document, start: datetime.datetime | None = None) -> Annotations:
    """Reads stages and events; times are seconds, or times of day, which need the start.

    Raises:
        InputError: a row has no times, or a stage is unknown.
    """
    rows = [line.split("\t") for line in document.lines if not line.startswith("#")]
    rows = [[field.strip() for field in row] for row in rows if row[0].casefold() != "class"]
    short = next((row for row in rows if len(row) < 5), None)
    if short:
        raise document.fault(
            f"has a row of {len(short)} fields ({short[0][:40]!r}): Luna needs class, instance, "
            "channel, start and stop, parted by tabs"
        )
    begins = _times(document, [row[3] for row in rows], [row[0] for row in rows], start)
    return marks.gather(
        document,
        [_mark(document, row, begins, number) for number, row in enumerate(rows)],
    )


def _mark(document: Document, row: list[str], begins: list[float], number: int) -> Mark:
    words = row[0] if row[1] in (".", "") else f"{row[0]} {row[1]}"
    stage = marks.recognise(document, row[0])
    if stage is None and row[0].casefold() in ("l", "lights"):
        words = "lights on"
    return Mark(
        begins[number],
        _duration(document, row, begins, number),
        words,
        None if row[2] in (".", "") else row[2],
        stage,
    )


def _duration(document: Document, row: list[str], begins: list[float], number: int) -> float:
    begin, stop = begins[number], row[4]
    if stop == NEXT:
        return begins[number + 1] - begin if number + 1 < len(begins) else 0.0
    if stop.startswith("+"):
        return _seconds(document, stop)
    if clock.seconds_of_day(stop) is not None and clock.seconds_of_day(row[3]) is not None:
        span = float(clock.seconds_of_day(stop) or 0) - float(clock.seconds_of_day(row[3]) or 0)
        return span % clock.DAY
    return _seconds(document, stop) - begin


def _times(
    document: Document, fields: list[str], texts: list[str], start: datetime.datetime | None
) -> list[float]:
    if any(clock.seconds_of_day(field) is not None for field in fields):
        return clock.from_start(document, fields, texts, start)
    return [_seconds(document, field) for field in fields]


def _is_time(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return clock.seconds_of_day(field) is not None
    return True


def _seconds(document: Document, field: str) -> float:
    try:
        return float(field)
    except ValueError:
        raise document.fault(
            f"holds {field[:40]!r} where seconds or a time of day should be: correct it"
        ) from None
