"""BIDS events: a real night with epochs without contact, words, numbers and levels."""

import json
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations
from sleepfm_jax.input_pipeline.annotations import Event
from tests.input_pipeline.annotation_formats.label_files import real, seconds


def test_a_real_night() -> None:
    path = real("annotations/bids_ds005555/sub-60_task-Sleep_acq-psg_events.tsv")
    found = annotations.read(path)
    assert found.hypnogram is not None
    assert len(found.hypnogram.stages) == 922
    human = {-1: 51, 0: 66, 1: 12, 2: 538, 3: 92, 4: 163}
    assert seconds(found.hypnogram) == {stage: 30 * count for stage, count in human.items()}


def test_words_and_events_in_one_column(tmp_path: Path) -> None:
    path = tmp_path / "x_events.tsv"
    path.write_text(
        "onset\tduration\ttrial_type\tchannel\n"
        "0\t30\tSleep stage W\tn/a\n30\t30\tN2\tn/a\n31.5\t3\tArousal\tC4\n60\tn/a\tREM\tn/a\n"
    )
    found = annotations.read(path)
    assert seconds(found.hypnogram) == {0: 30, 2: 30, 4: 30}
    assert found.events == (Event(31.5, 3.0, "arousal", "Arousal", "C4"),)


def test_events_between_stages_of_a_column_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "x_events.tsv"
    path.write_text(
        "onset\tduration\tstage\ttrial_type\n0\t30\t0\tn/a\n4\t1\tn/a\tSnore\n30\t30\t2\tstage 2\n"
    )
    found = annotations.read(path)
    assert seconds(found.hypnogram) == {0: 30, 2: 30}
    assert [event.kind for event in found.events] == ["snore"]


def test_the_sidecar_says_what_numbers_mean(tmp_path: Path) -> None:
    path = tmp_path / "x_events.tsv"
    path.write_text("onset\tduration\tstage\n0\t30\t0\n30\t30\t4\n60\t30\t5\n")
    with pytest.raises(InputError, match=r"x_events\.tsv holds the stage '5'"):
        annotations.read(path)
    levels = {"0": "Wake", "4": {"Description": "Stage 4"}, "5": "REM sleep"}
    path.with_suffix(".json").write_text(json.dumps({"Stage": {"Levels": levels}}))
    np.testing.assert_array_equal(annotations.read_hypnogram(path).stages, [0, 3, 4])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("onset\tduration\tx\n0\t1\t2\n", "names no stages or events in its columns"),
        ("onset\tduration\tstage\nsoon\t1\t2\n", "holds 'soon' where seconds should be"),
        ("onset\tduration\tstage\n2001-01-01 00:00:00\t30\t2\n", "holds '2001-01-01 00:00:00'"),
        ("onset\tduration\tstage\n0\t30\t2.5\n", "holds the stage '2.5'"),
        ("onset\tduration\tstage\nnan\t30\t2\n", "holds '2' at nan s"),
        ("onset\tduration\tstage\n0\t30\t2\n15\t30\t2\n", "holds overlapping stages"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x_events.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"x_events\.tsv {words}"):
        annotations.read(path)
