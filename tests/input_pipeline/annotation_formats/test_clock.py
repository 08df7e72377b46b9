"""Times of day: spellings, midnights, and where they count from."""

import datetime
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.annotation_formats import clock
from sleepfm_jax.input_pipeline.annotation_formats.document import Document

BEGIN = datetime.datetime(2001, 2, 3, 22, 0, 0, 500_000)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    path = tmp_path_factory.mktemp("clock") / "night.txt"
    path.write_text("x")
    return Document(path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:00", 0),
        ("23:05:10", 83110),
        ("23.05.10", 83110),
        ("23:05:10.25", 83110.25),
        ("23:05:10,5", 83110.5),
        ("5/22/2018 11:05:10 PM", 83110),
        ("22/05/2018 12:00:01 am", 1),
        ("12:00:01 p.m.", 43201),
        ("2010-01-01T23:05:10.000000", 83110),
        ("2010-01-01 23:05:10Z", 83110),
        ("24:00:00", None),
        ("13:00:00 PM", None),
        ("12:60:00", None),
        ("12:00:60", None),
        ("30", None),
        ("", None),
        ("noon", None),
    ],
)
def test_spellings(text: str, seconds: float | None) -> None:
    assert clock.seconds_of_day(text) == seconds


@settings(max_examples=50, deadline=None)
@given(
    origin=st.integers(0, 86399),
    steps=st.lists(st.integers(-1000, 43200), min_size=1, max_size=12),
)
def test_any_number_of_midnights(origin: int, steps: list[int], document: Document) -> None:
    """Rows half a day apart at most, some of them out of order, come back as they were."""
    times = [sum(steps[: n + 1]) for n in range(len(steps))]
    clocks = [str(datetime.timedelta(seconds=(origin + t) % 86400)) for t in times]
    begin = datetime.datetime(2001, 1, 1) + datetime.timedelta(seconds=origin)
    assert clock.from_start(document, clocks, [""] * len(clocks), begin) == times


def test_the_start_that_the_file_tells_comes_first(document: Document) -> None:
    clocks, texts = ["23:59:00", "00:00:30", "23:58:00"], ["Wake", "Recording start", "N1"]
    assert clock.from_start(document, clocks, texts, BEGIN) == [-90, 0, -150]
    assert clock.from_start(document, clocks, ["", "", ""], BEGIN) == [7139.5, 7229.5, 7079.5]


def test_without_a_start_the_first_row_is_taken_with_a_warning(
    document: Document, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert clock.from_start(document, ["23:59:00", "00:00:30"], ["", ""], None) == [0, 90]
    assert "night.txt has times of day but not the recording's start" in caplog.text
    caplog.clear()
    clock.from_start(document, ["23:59:00"], [""], BEGIN)
    assert not caplog.text


def test_a_row_without_a_time_is_refused(document: Document) -> None:
    with pytest.raises(InputError, match=r"night\.txt holds 'noon' where a time of day should be"):
        clock.from_start(document, ["noon"], [""], BEGIN)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Recording start", True),
        ("Start of Recording", True),
        ("study started", True),
        ("Recording Start Time", True),
        ("Start", False),
        ("Recording restarted", False),
    ],
)
def test_rows_that_say_start(text: str, says: bool) -> None:
    assert clock.says_start(text) is says
