"""RemLogic, Noxturnal and Luna text: stages and events at times of day, over midnight."""

import datetime
from pathlib import Path

import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations
from sleepfm_jax.input_pipeline.annotations import Annotations, Event
from tests.input_pipeline.annotation_formats.label_files import seconds

BEGIN = datetime.datetime(2001, 2, 3, 23, 58, 30)
STAGES = {0: 30.0, 2: 30.0, 3: 30.0, -1: 30.0}
REMLOGIC = """\
RemLogic Event Export
Patient:\tM\u00fcller
Recording Date:\t03/02/2001

Events Included:
SLEEP-S0

Sleep Stage\tPosition\tTime [hh:mm:ss]\tEvent\tDuration[s]\tLocation
W\tUnknown Position\t23:59:00\tSLEEP-S0\t30\tROC-LOC
S2\tUnknown Position\t23:59:30\tSLEEP-S2\t30\tROC-LOC
S2\tUnknown Position\t23:59:47\tMCAP-A3\t4\tC4-A1
S4\tUnknown Position\t00:00:00\tSLEEP-S4\t30\tROC-LOC
MT\tUnknown Position\t00:00:30\tSLEEP-MT\t30\tROC-LOC
"""
NOXTURNAL = """\
Start Time,Duration (seconds),Event
23:59:00,30.000, Wake
23:59:30,30.000, Stage2
23:59:47,4.000, Arousal
00:00:00,30.000, Stage3
00:00:30,30.000, UnknownStage
"""
LUNA = """\
# spindles | of another program
class\tinstance\tchannel\tstart\tstop\tmeta
W\t.\t.\t23:59:00\t23:59:30\t.
N2\t.\t.\t23:59:30\t+30\t.
Arousal\tmicro\tC4\t23:59:47\t23:59:51\t.
N3\t.\t.\t00:00:00\t...\t.
?\t.\t.\t00:00:30\t00:01:00\t.
"""


def read(tmp_path: Path, text: str, start: datetime.datetime | None = BEGIN) -> Annotations:
    path = tmp_path / "night.txt"
    path.write_text(text, encoding="latin-1")
    return annotations.read(path, start)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (REMLOGIC, Event(77.0, 4.0, "other", "MCAP-A3", "C4-A1")),
        (NOXTURNAL, Event(77.0, 4.0, "arousal", "Arousal", None)),
        (LUNA, Event(77.0, 4.0, "arousal", "Arousal micro", "C4")),
    ],
)
def test_a_night_over_midnight(tmp_path: Path, text: str, event: Event) -> None:
    found = read(tmp_path, text)
    assert seconds(found.hypnogram) == STAGES
    assert found.hypnogram is not None
    assert list(found.hypnogram.starts) == [30, 60, 90, 120]
    assert found.events == (event,)
    alone = read(tmp_path, text, None).hypnogram
    assert alone is not None
    assert list(alone.starts) == [0, 30, 60, 90]


@pytest.mark.parametrize(
    "table",
    [
        REMLOGIC.replace("Position\t", "").replace("Unknown ", ""),
        REMLOGIC.replace("hh:mm:ss", "hh:mm:ss.xxx").replace(":00\tSLEEP", ":00.000\tSLEEP"),
        "\n".join(REMLOGIC.splitlines()[6:]),
        REMLOGIC.replace("23:59:", "23.59.").replace("00:00:", "00.00."),
        NOXTURNAL.replace("23:59:", "5/22/2018 11:59:")
        .replace(",30.000, W", " PM,30.000, W")
        .replace(",30.000, Stage2", " PM,30.000, N2")
        .replace(",4.000", " PM,4.000")
        .replace("00:00:", "5/23/2018 00:00:"),
        NOXTURNAL.replace(",", ";"),
        NOXTURNAL.replace("Duration (seconds)", "Duration"),
        LUNA.replace("class\tinstance\tchannel\tstart\tstop\tmeta\n", ""),
    ],
)
def test_layouts_that_are_about(tmp_path: Path, table: str) -> None:
    assert seconds(read(tmp_path, table).hypnogram) == STAGES


def test_noxturnal_with_ends_and_the_start_in_the_file(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "Start Time\tEnd Time\tEvent\n23:59:45\t23:59:45\tRecording start\n"
        "00:00:00\t00:00:30\tN1\n23:59:50\t00:00:05\tHypopnea\n",
    )
    assert seconds(found.hypnogram) == {1: 30}
    assert found.events == (Event(5.0, 15.0, "hypopnea", "Hypopnea", None),)


def test_luna_in_seconds(tmp_path: Path) -> None:
    found = read(tmp_path, "N2\t.\t.\t0\t30\t.\nR\t.\t.\t30.0\t60.0\t.\nLights\t.\t.\t60\t60\t.\n")
    assert seconds(found.hypnogram) == {2: 30, 4: 30}
    assert found.events == (Event(60.0, 0.0, "lights on", "lights on", None),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REMLOGIC.replace("SLEEP-S4", "SLEEP-S5"), "holds the stage 'SLEEP-S5'"),
        (REMLOGIC.replace("S0\t30", "S0\thalf"), "holds the duration 'half'"),
        (REMLOGIC.replace("23:59:30", "half past"), "holds 'half past' where a time of day"),
        (REMLOGIC[:60], r"has no line with Time \[hh:mm:ss\]"),
        (NOXTURNAL.replace("Stage2", "Stage9"), "holds the stage 'Stage9'"),
        (NOXTURNAL.replace("30.000, Wake", ", Wake"), "holds '' where a duration in seconds"),
        (NOXTURNAL.replace("23:59:30", ""), "holds '' where a time of day"),
        (LUNA + "N1\t.\t.\n", "has a row of 3 fields"),
        (LUNA.replace("+30", "+half"), r"holds '\+half' where seconds"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"night\.txt {words}"):
        read(tmp_path, text)
