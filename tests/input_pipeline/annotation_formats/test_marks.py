"""Marks become one hypnogram: order, repeats, rounding, overlaps; and kinds of events."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Mark, gather, kind


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    path: Path = tmp_path_factory.mktemp("marks") / "night.txt"
    path.write_text("x")
    return Document(path)


@settings(max_examples=25, deadline=None)
@given(
    stages=st.lists(st.integers(-1, 4), min_size=1, max_size=15),
    gaps=st.lists(st.sampled_from([0.0, 30.0]), min_size=15, max_size=15),
    seed=st.randoms(use_true_random=False),
)
def test_order_and_repeats_change_nothing(
    document: Document, stages: list[int], gaps: list[float], seed: "st.randoms"
) -> None:
    starts = np.cumsum([0.0, *(30 + gap for gap in gaps[1 : len(stages)])])
    rows = [Mark(float(s), 30.0, "", stage=stage) for s, stage in zip(starts, stages, strict=True)]
    mixed = rows + rows[::2]
    seed.shuffle(mixed)
    found = gather(document, mixed).hypnogram
    assert found is not None
    np.testing.assert_array_equal(found.starts, starts)
    np.testing.assert_array_equal(found.stops, starts + 30)
    np.testing.assert_array_equal(found.stages, stages)


def test_whole_seconds_may_round_into_the_next(document: Document) -> None:
    rows = [Mark(0.0, 31.0, "", stage=0), Mark(30.0, 30.0, "", stage=2)]
    found = gather(document, rows).hypnogram
    assert found is not None
    np.testing.assert_array_equal(found.stops, [30, 60])


@pytest.mark.parametrize(
    "rows",
    [
        [(0.0, 31.5, 0), (30.0, 30.0, 2)],
        [(0.0, 30.0, 0), (0.0, 30.0, 2)],  # two scorers
        [(0.0, 0.5, 0), (0.2, 30.0, 2)],
        [(0.0, 90.0, 0), (30.0, 30.0, 0)],
    ],
)
def test_overlaps_are_refused(document: Document, rows: list[tuple[float, float, int]]) -> None:
    with pytest.raises(InputError, match=r"night\.txt holds overlapping stages"):
        gather(document, [Mark(start, length, "", stage=code) for start, length, code in rows])


@pytest.mark.parametrize(
    ("start", "length"), [(np.nan, 30), (np.inf, 30), (0, -1), (0, np.nan), (0, np.inf)]
)
def test_times_that_cannot_be(document: Document, start: float, length: float) -> None:
    for code in (None, 2):
        with pytest.raises(InputError, match=r"night\.txt holds 'N2' at .* which cannot be"):
            gather(document, [Mark(start, length, "N2", stage=code)])


def test_events_come_by_start_and_may_overlap(document: Document) -> None:
    found = gather(document, [Mark(5.0, 10.0, "Arousal"), Mark(2.0, 10.0, "Apnea", "Flow")])
    assert found.hypnogram is None
    assert [(event.start, event.channel) for event in found.events] == [(2.0, "Flow"), (5.0, None)]


@pytest.mark.parametrize(
    ("meaning", "texts"),
    [
        ("arousal", "Arousal|EEG arousal|Arousal ()|arousal_plm|Micro-arousal"),
        ("rera", "RERA|arousal_rera|Respiratory effort related arousal"),
        ("central apnea", "Central Apnea|resp_centralapnea|Apnea, central"),
        ("obstructive apnea", "Obstructive apnea|resp_obstructiveapnea|OSA"),
        ("mixed apnea", "Mixed Apnea|Apnea - mixed"),
        ("apnea", "Apnea|apnoea"),
        ("hypopnea", "Hypopnea|resp_hypopnea|Obstructive hypopnea"),
        ("desaturation", "SpO2 desaturation|Desat"),
        ("limb movement", "PLM|Limb movement|Leg Movement|LM (left)"),
        ("lights off", "Lights off|LightsOff|Light out"),
        ("lights on", "Lights on|Light_on"),
        ("artifact", "SpO2 artifact|Artefact"),
        ("spindle", "vis1_Spindles|Sleep spindle"),
        ("other", "Mörgen|Start Recording|MCAP-A1|"),
    ],
)
def test_kinds_of_events(meaning: str, texts: str) -> None:
    for text in texts.split("|"):
        assert kind(text) == meaning, text
