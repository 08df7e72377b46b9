"""EDF and BDF files for tests: written by edfio, then damaged byte by byte."""

import datetime
from pathlib import Path

import edfio
import numpy as np

FIXED_FIELDS = {  # name: (first byte, bytes)
    "version": (0, 8),
    "patient": (8, 80),
    "recording": (88, 80),
    "date": (168, 8),
    "time": (176, 8),
    "header bytes": (184, 8),
    "reserved": (192, 44),
    "records": (236, 8),
    "record duration": (244, 8),
    "signals": (252, 4),
}
SIGNAL_FIELDS = {  # name: (bytes of a signal before it, bytes)
    "label": (0, 16),
    "unit": (96, 8),
    "physical minimum": (104, 8),
    "physical maximum": (112, 8),
    "digital minimum": (120, 8),
    "digital maximum": (128, 8),
    "samples per record": (216, 8),
}
RECORDS = 12  # one second each


def write(path: Path, events: bool = True) -> Path:
    """Twelve seconds: C3-M2 at 100 Hz, Airflow at 10 Hz and, with `events`, two annotations.

    The patient, the equipment and the date are there to be found if they leak.
    """
    noise = np.random.default_rng(0)
    edfio.Edf(
        [
            edfio.EdfSignal(
                noise.normal(0, 30, RECORDS * 100),
                100,
                label="C3-M2",
                physical_dimension="uV",
                physical_range=(-250, 250),
            ),
            edfio.EdfSignal(
                noise.normal(0, 1, RECORDS * 10),
                10,
                label="Airflow",
                physical_dimension="mV",
                physical_range=(-8, 8),
            ),
        ],
        patient=edfio.Patient(code="CODE77", name="Jane_Doe", birthdate=datetime.date(1957, 3, 28)),
        recording=edfio.Recording(
            startdate=datetime.date(2003, 11, 17), equipment_code="Somnoscope9"
        ),
        starttime=datetime.time(23, 27, 5),
        data_record_duration=1,
        annotations=[
            edfio.EdfAnnotation(3.5, 1.25, "Arousal é"),
            edfio.EdfAnnotation(1, None, "N2"),
        ]
        if events
        else None,
    ).write(path)
    return path


def put(path: Path, position: int, content: bytes) -> Path:
    """Overwrites bytes of a file."""
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content)
    return path


def set_fixed(path: Path, field: str, text: str | bytes) -> Path:
    """Overwrites a field of the header's first 256 bytes."""
    start, width = FIXED_FIELDS[field]
    return put(path, start, _padded(text, width))


def set_signal(path: Path, signal: int, field: str, text: str | bytes) -> Path:
    """Overwrites a field of one signal."""
    before, width = SIGNAL_FIELDS[field]
    count = int(path.read_bytes()[252:256])
    return put(path, 256 + before * count + signal * width, _padded(text, width))


def set_times(path: Path, times: list[str]) -> Path:
    """Gives each record of a file from `write` another time-keeping annotation, and no events."""
    content = path.read_bytes()
    count = int(content[252:256])
    start = 256 * (count + 1)
    widths = [2 * int(content[256 * 1 + 216 * count + 8 * i :][:8]) for i in range(count)]
    for record, time in enumerate(times):
        notes = start + record * sum(widths) + sum(widths[:-1])
        mark = f"{time}\x14\x14\0".encode() if time else b""
        put(path, notes, mark.ljust(widths[-1], b"\0"))
    return path


def _padded(text: str | bytes, width: int) -> bytes:
    content = text if isinstance(text, bytes) else text.encode()
    assert len(content) <= width
    return content.ljust(width)
