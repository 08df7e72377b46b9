"""When an EDF+ file's records were taken: its time-keeping annotations, and its events.

Each record of EDF+ begins its first annotation channel with its own time
(https://www.edfplus.info/specs/edfplus.html, 2.2.4). MNE passes over these times and glues the
stretches of EDF+D together; here they decide where a stretch stands.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

from sleepfm_jax.input_pipeline.edf_fields import EdfError
from sleepfm_jax.input_pipeline.edf_header import LONGEST_RECORDING

# Writers round the times of records, commonly to a millisecond.
WRITTEN_TO = 1e-3  # seconds

# onset [21 duration] 20 text 20 text … 20 0 (bytes in decimal, as the specification writes them)
_LIST = re.compile(
    rb"([+-][0-9]+(?:\.[0-9]*)?)(?:\x15([0-9]+(?:\.[0-9]*)?))?\x14([^\0]*)\x14\0", re.DOTALL
)


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Records that follow each other without a gap.

    Attributes:
        first: the first record's number.
        stop: one past the last record's number.
        start: seconds from the recording's start to the first sample.
    """

    first: int
    stop: int
    start: float


def record_times(channel: Sequence[bytes]) -> np.ndarray:
    """Reads the time-keeping annotation of each record.

    Args:
        channel: the bytes of the first annotation channel, one entry a record.

    Returns:
        (records,) float64, seconds from the start time in the header; NaN where a record tells
        no time.
    """
    return np.array([_record_time(record) for record in channel], np.float64)


def _record_time(record: bytes) -> float:
    found = _LIST.match(record)
    if not found or found[3].split(b"\x14")[0]:  # an event, not an empty time-keeping annotation
        return math.nan
    time = float(found[1])
    return time if math.isfinite(time) else math.nan


def stretches(times: np.ndarray, duration: float, highest_rate: float) -> tuple[Stretch, ...]:
    """Splits records where the time of one is not the end of the one before.

    A record belongs to a stretch while it stands within half a sample of the highest rate (and the
    rounding of written times) of where the stretch's first record and nominal rate place it.

    Args:
        times: (records,) seconds.
        duration: seconds a record lasts.
        highest_rate: Hz.

    Raises:
        EdfError: a record begins before the one before it ends, or a month after the first.
    """
    tolerance = 0.5 / highest_rate + WRITTEN_TO
    times = times - times[0]
    if times.max() > LONGEST_RECORDING:
        raise EdfError(
            f"has a data record {times.max():g} s after the first, which cannot be: export it again"
        )
    found, first = [], 0
    for record in range(1, len(times)):
        expected = times[first] + (record - first) * duration
        if times[record] < expected - tolerance:
            raise EdfError(
                f"has data records that overlap (record {record + 1} begins at "
                f"{times[record]:g} s, the one before ends at {expected:g} s): export it again"
            )
        if times[record] > expected + tolerance:
            found.append(Stretch(first, record, float(times[first])))
            first = record
    found.append(Stretch(first, len(times), float(times[first])))
    return tuple(found)


def events(channels: Iterable[bytes], start: float) -> list[tuple[float, float, str]]:
    """Reads all annotations that say something.

    Args:
        channels: the bytes of annotation channels, of one record or of many.
        start: time of the first record, in seconds; onsets are counted from it.

    Returns:
        (onset in seconds, duration in seconds, text), by onset.
    """
    found = []
    for channel in channels:
        for onset, duration, texts in _LIST.findall(channel):
            seconds = float(onset) - start
            if math.isfinite(seconds):
                length = float(duration) if duration else 0.0
                found += [(seconds, length, _text(text)) for text in texts.split(b"\x14") if text]
    return sorted(found, key=lambda event: event[0])


def _text(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")
