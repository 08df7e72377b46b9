"""NSRR's two kinds of XML: Profusion's, of a real night, and the harmonised one."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations
from sleepfm_jax.input_pipeline.annotations import Event
from tests.input_pipeline.annotation_formats.label_files import real, seconds

PROFUSION = (
    '<?xml version="1.0" encoding="{declared}"?><CMPStudyConfig><EpochLength>30</EpochLength>'
    "<ScoredEvents><ScoredEvent><Name>Atemstörung</Name><Start>3.5</Start><Input>Fluß</Input>"
    "</ScoredEvent></ScoredEvents><SleepStages>{stages}</SleepStages></CMPStudyConfig>"
)
NSRR = "<PSGAnnotation><ScoredEvents>{}</ScoredEvents></PSGAnnotation>"
EVENT = (
    "<ScoredEvent><EventType>{}</EventType><EventConcept>{}</EventConcept><Start>{}</Start>"
    "<Duration>{}</Duration><SignalLocation>SaO2</SignalLocation></ScoredEvent>"
)


def profusion(codes: str, declared: str = "utf-8") -> str:
    stages = "".join(f"<SleepStage>{code}</SleepStage>" for code in codes)
    return PROFUSION.format(stages=stages, declared=declared)


def test_profusion_of_a_real_night() -> None:
    found = annotations.read(real("annotations/nsrr_profusion_xml/learn-nsrr01.xml"))
    assert found.hypnogram is not None
    assert len(found.hypnogram.stages) == 1364
    epochs = {0: 477, 1: 109, 2: 523, 3: 16 + 1, 4: 238}
    assert seconds(found.hypnogram) == {stage: 30 * count for stage, count in epochs.items()}
    assert Counter((event.kind, event.channel) for event in found.events) == {
        ("hypopnea", "THOR RES"): 361,
        ("desaturation", "SaO2"): 254,
        ("arousal", "EEG"): 165,
        ("artifact", "SaO2"): 59,
        ("obstructive apnea", "THOR RES"): 37,
        ("arousal", "EEG(sec)"): 29,
    }
    assert found.events[0] == Event(380.0, 4.0, "artifact", "SpO2 artifact", "SaO2")


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("utf-8", "utf-8"), ("UTF-16", "utf-16"), ("UTF-16", "utf-8"), ("iso-8859-1", "latin-1")],
)
def test_profusion_in_any_encoding_whatever_it_declares(
    tmp_path: Path, declared: str, encoding: str
) -> None:
    path = tmp_path / "night.xml"
    path.write_bytes(profusion("0123456 9".replace(" ", ""), declared).encode(encoding))
    found = annotations.read(path)
    assert found.hypnogram is not None
    np.testing.assert_array_equal(found.hypnogram.stages, [0, 1, 2, 3, 3, 4, -1, -1])
    assert found.events == (Event(3.5, 0.0, "other", "Atemstörung", "Fluß"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (profusion("018"), "holds the stage '8'"),
        (profusion("01").replace(">30<", ">0<"), "has epochs of 0 s"),
        (profusion("01").replace(">30<", "><"), "has '' for EpochLength"),
        (profusion("01").replace("3.5", "soon"), "has 'soon' for Start in ScoredEvent"),
        (profusion("01")[:-9], "is damaged XML"),
        (NSRR.format(EVENT.format("Stages|Stages", "Asleep|7", 0, 30)), "holds the stage"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "night.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"night\.xml {words}"):
        annotations.read(path)


def test_nsrr(tmp_path: Path) -> None:
    rows = [
        ("", "Recording Start Time", 0, 600),
        ("Stages|Stages", "Wake|0", 0, 60),
        ("Stages|Stages", "Stage 4 sleep|4", 60, 30),
        ("Stages|Stages", "REM sleep|5", 90, 30),
        ("Stages|Stages", "Unscored|9", 120, 30),
        ("Respiratory|Respiratory", "SpO2 desaturation|SpO2 desaturation", 75.5, 10),
    ]
    path = tmp_path / "night.xml"
    path.write_text(NSRR.format("".join(EVENT.format(*row) for row in rows)))
    found = annotations.read(path)
    assert seconds(found.hypnogram) == {0: 60, 3: 30, 4: 30, -1: 30}
    assert found.events == (Event(75.5, 10.0, "desaturation", "SpO2 desaturation", "SaO2"),)
