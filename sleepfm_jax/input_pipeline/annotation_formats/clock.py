"""Times of day to seconds from the recording's start, over any number of midnights."""

import datetime
import logging
import re

from sleepfm_jax.input_pipeline.annotation_formats.document import Document

DAY = 86400.0
_CLOCK = re.compile(
    r"(?:^|[\sT])(\d{1,2})([:.])(\d{2})\2(\d{2}(?:[.,:]\d{1,6})?)\s*([ap]\.?m\.?)?\s*Z?$", re.I
)
_BEGINNING = re.compile(
    r"(start|begin(ning)?)\s+(of\s+)?(the\s+)?(recording|study)"
    r"|(recording|study)\s+(start(s|ed)?|begins?)(\s+time)?",
    re.I,
)

log = logging.getLogger(__name__)


def seconds_of_day(text: str) -> float | None:
    """Reads a time of day: 23:05:10.5, 23.05.10, 11:05:10 PM; a date before it is passed over.

    Returns:
        seconds from midnight; None: it is no time of day.
    """
    found = _CLOCK.search(text.strip())
    if not found:
        return None
    hour, minute = int(found[1]), int(found[3])
    second = float(re.sub(r"[,:]", ".", found[4]))
    if found[5]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found[5][0] in "pP" else 0)
    return (
        None if hour > 23 or minute > 59 or second >= 60 else hour * 3600.0 + minute * 60 + second
    )


def says_start(text: str) -> bool:
    """Whether a row marks the recording's start."""
    return _BEGINNING.fullmatch(text.strip()) is not None


def from_start(
    document: Document,
    clocks: list[str],
    texts: list[str],
    start: datetime.datetime | None,
) -> list[float]:
    """Seconds from the recording's start to each row.

    Dates are not used (many exports have none, or have them in an unknown order): each row stands
    on the day that brings it closest to the row before it, the first row closest to the start.

    Args:
        document: for its name.
        clocks: (rows,) times of day, in the file's order.
        texts: (rows,) what each row says; a row such as "Recording start" gives the start.
        start: of the recording, where the file does not tell; None: the first row is taken for it,
            with a warning.

    Raises:
        InputError: a row has no time of day.
    """
    days = [_read(document, clock) for clock in clocks]
    told = [second for second, text in zip(days, texts, strict=True) if says_start(text)]
    if told:
        origin = told[0]
    elif start is not None:
        origin = (start - start.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    else:
        origin = days[0] if days else 0.0
        log.warning(
            "%s has times of day but not the recording's start: its first row is taken for it",
            document.path,
        )
    times, last = [], origin
    for second in days:
        last += DAY / 2 - (last + DAY / 2 - second) % DAY
        times.append(last - origin)
    return times


def _read(document: Document, clock: str) -> float:
    second = seconds_of_day(clock)
    if second is None:
        raise document.fault(
            f"holds {clock[:40]!r} where a time of day should be: write hours:minutes:seconds"
        )
    return second
