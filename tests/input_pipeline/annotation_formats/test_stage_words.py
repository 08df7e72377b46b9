"""Words for stages: all spellings, and events that are none."""

import pytest

from sleepfm_jax.input_pipeline.annotation_formats.stage_words import stage, stage_among_events

EVENTS = ("Arousal", "1", "4", "M", "N", "Unknown", "Sleep spindle", "Lights off", "Movement")
EVENTS += ("Central apnea", "RERA", "Stage shift", "Sleep onset", "Position - right", "")
EVENTS += ("Wake up call",)


@pytest.mark.parametrize(
    ("meaning", "words"),
    [
        (0, "W|Wake|Sleep stage W|SLEEP-S0|Stage W|wake|AWAKE|Sleep Stage 0|Stage - W|S0"),
        (1, "N1|S1|Sleep stage 1|Sleep stage N1|SLEEP-S1|Stage1|Stage 1 sleep|NREM1|Non-REM 1"),
        (2, "N2|S2|Sleep stage 2|SLEEP-S2|Stage2|Stage 2 Sleep|NREM 2"),
        (3, "N3|S3|S4|Sleep stage 3|Sleep stage 4|SLEEP-S4|Stage3|Stage 4 sleep|N4|NREM4"),
        (4, "R|REM|Sleep stage R|SLEEP-REM|REM sleep|Stage REM|rem"),
        (-1, "?|Sleep stage ?|Movement time|SLEEP-MT|SLEEP-UNSCORED|UnknownStage|Unscored|MT"),
        (-1, "Sleep stage M|Sleep stage N|Stage unknown|Sleep stage NREM"),
    ],
)
def test_spellings(meaning: int, words: str) -> None:
    for word in words.split("|"):
        assert stage(word) == meaning, word
        assert stage_among_events(word) == meaning, word


@pytest.mark.parametrize("text", EVENTS)
def test_events_are_no_stages(text: str) -> None:
    assert stage_among_events(text) is None


@pytest.mark.parametrize(("word", "meaning"), [("1", 1), ("4", 3), ("N", -1), ("unknown", -1)])
def test_a_column_of_stages_may_be_shorter(word: str, meaning: int) -> None:
    assert stage(word) == meaning


@pytest.mark.parametrize("text", ["Sleep stage 5", "Sleep stage X1", "stage 7", "sleep stage sws2"])
def test_unknown_stages_are_told(text: str) -> None:
    assert stage(text) is None
    with pytest.raises(ValueError, match=text):
        stage_among_events(text)
