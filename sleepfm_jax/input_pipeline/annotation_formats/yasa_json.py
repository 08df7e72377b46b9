"""YASA's JSON hypnogram: a stage for every epoch of equal length."""

import json
import re

from sleepfm_jax.input_pipeline.annotation_formats import marks, stage_words
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark

_FREQUENCY = re.compile(r"(\d*\.?\d*)\s*(s|S|min|m|T)")


def recognises(document: Document) -> bool:
    """Whether the file is a JSON object with YASA's keys."""
    start = document.text[:1] if document.is_text else ""
    return start == "{" and '"n_stages"' in document.text and '"values"' in document.text


def read(document: Document) -> Annotations:
    """Reads values of five stages; ART and UNS are unscored.

    Raises:
        InputError: the JSON is damaged, the length of an epoch or a stage is unknown, or there are
            fewer stages than five, which say too little.
    """
    try:
        told = json.loads(document.text)
        values, length = list(told["values"]), _seconds(str(told["freq"]))
        count = int(told["n_stages"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise document.fault(f"is no YASA hypnogram ({error}): write it again") from error
    if count != 5:
        raise document.fault(f"has {count} stages, which cannot become five: score W, N1 to N3, R")
    return marks.gather(
        document,
        [
            Mark(row * length, length, str(value), stage=_stage(document, str(value)))
            for row, value in enumerate(values)
        ],
    )


def _stage(document: Document, value: str) -> int:
    found = stage_words.stage(value)
    if found is None or value.isdecimal():
        raise marks.unknown_stage(document, value)
    return found


def _seconds(frequency: str) -> float:
    found = _FREQUENCY.fullmatch(frequency.strip())
    seconds = float(found[1] or 1) * (1 if found[2] in "sS" else 60) if found else 0.0
    if not 1 <= seconds <= 120:
        raise ValueError(f"freq is {frequency!r}")
    return seconds
