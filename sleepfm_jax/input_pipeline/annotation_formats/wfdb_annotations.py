"""WFDB annotations of CinC 2018 (`.arousal`): stages, and arousals between `(text` and `text)`.

MIT format: words of 16 bits, six for the type and ten for the samples since the one before
(https://physionet.org/physiotools/wag/annot-5.htm).
"""

import re
import struct

from sleepfm_jax.input_pipeline.annotation_formats import marks, wfdb_header
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark
from sleepfm_jax.input_pipeline.annotation_formats.stage_words import stage as stage_of

SKIP, NUM, SUB, CHN, AUX = 59, 60, 61, 62, 63
END = b"\0\0"
_RESOLUTION = re.compile(r"## time resolution: ([0-9.]+)")


def recognises(document: Document) -> bool:
    """Whether the words of the file make annotations from its first to its last byte."""
    if not document.head.startswith((b"\x00\x58", b"\x01\x04")) and document.is_text:
        return False
    return document.content.endswith(END) and _annotations(document.content) is not None


def read(document: Document) -> Annotations:
    """Reads stages, each until the next, the last until the end that the header beside tells.

    The rate comes from the file or the header (`.hea`, the same name); without a header the last
    stage lasts 30 seconds.

    Raises:
        InputError: neither tells the rate.
    """
    header = wfdb_header.beside(document)
    rows = _annotations(document.content) or []
    told = (_RESOLUTION.match(text) for _, text in rows)
    rate = next((float(found[1]) for found in told if found), header.rate if header else 0.0)
    if rate <= 0:
        raise document.fault("does not tell its rate: put the record's .hea file beside it")
    end = header.seconds if header else None
    return marks.gather(document, [*_stages(rows, rate, end), *_events(rows, rate)])


def _stages(rows: list[tuple[int, str]], rate: float, end: float | None) -> list[Mark]:
    found = [(sample / rate, text) for sample, text in rows if stage_of(text) is not None]
    stops = [begin for begin, _ in found[1:]]
    if found:
        last = found[-1][0]
        stops.append(end if end is not None and end > last else last)
    return [
        Mark(begin, stop - begin, text, stage=stage_of(text))
        for (begin, text), stop in zip(found, stops, strict=True)
    ]


def _events(rows: list[tuple[int, str]], rate: float) -> list[Mark]:
    opened: dict[str, float] = {}
    found = []
    for sample, text in rows:
        time = sample / rate
        if text.startswith("("):
            opened[text[1:]] = time
        elif text.endswith(")"):
            begin = opened.pop(text[:-1], time)
            found.append(Mark(begin, time - begin, text[:-1]))
        elif text and not text.startswith("##") and stage_of(text) is None:
            found.append(Mark(time, 0.0, text))
    return found + [Mark(begin, 0.0, text) for text, begin in opened.items()]


def _annotations(content: bytes) -> list[tuple[int, str]] | None:
    """(sample, text) of each annotation; None: the bytes are none."""
    found: list[tuple[int, str]] = []
    place, sample = 0, 0
    while place + 2 <= len(content):
        word = int.from_bytes(content[place : place + 2], "little")
        code, interval = word >> 10, word & 0x3FF
        place += 2
        if word == 0:
            return found if place == len(content) else None
        if code == SKIP:
            if place + 4 > len(content):
                return None
            high, low = struct.unpack_from("<hH", content, place)
            sample += (high << 16) + low
            place += 4
        elif code == AUX:
            text = content[place : place + interval]
            if len(text) < interval or not found:
                return None
            found[-1] = (found[-1][0], text.rstrip(b"\0").decode("latin-1"))
            place += interval + interval % 2
        elif code not in (NUM, SUB, CHN):
            sample += interval
            found.append((sample, ""))
    return None
