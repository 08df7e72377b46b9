"""Whatever is wrong with labels or outcomes is named, the others train, nothing is made up.

From files on disk to the batches and to the C-index; the readers have their own tests.
"""

import logging
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate import concordance
from sleepfm_jax.input_pipeline import night_batches
from sleepfm_jax.input_pipeline.labelled_nights import LabelledNights, with_outcomes, with_stages
from sleepfm_jax.input_pipeline.outcomes import read_demographics, read_outcomes
from tests.input_pipeline import small_embeddings

STEPS = 60  # of each night: 5 minutes
HEADER = "Start,Stop,StageName,StageNumber\n"
WHOLE = HEADER + "".join(f"{30 * e},{30 * e + 30},N2,2\n" for e in range(10))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nights p0, p1 and p2 with embeddings; p1 and p2 with whole labels."""
    for night in range(3):
        small_embeddings.write(tmp_path / f"embeddings/sequence/p{night}.hdf5", night, STEPS)
    (tmp_path / "stages").mkdir()
    for night in (1, 2):
        (tmp_path / f"stages/p{night}.csv").write_text(WHOLE)
    return tmp_path


def staged(folder: Path) -> LabelledNights:
    return with_stages(folder / "embeddings", folder / "stages")


def stages(folder: Path, night: str) -> list[int]:
    nights = staged(folder)
    (batch,) = night_batches.held_out(nights, len(nights))
    return batch["stages"][nights.names.index(night)].tolist()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEADER + "0,60,N1,1\n30,90,N2,2\n", "overlapping stages (one lasts until 60 s, the next"),
        (HEADER + "0,30,N1,1\n0,30,N2,2\n", "overlapping stages"),
        (HEADER + "0,30,N5,5\n", "p0.csv holds the stage number 5, which is not known"),
        (HEADER + "0,30,N1,one\n", "p0.csv has a row without numbers"),
        (HEADER + "0,nan,N1,1\n", "p0.csv has a row from 0 to nan s"),
        (HEADER + "30,0,N1,1\n", "p0.csv has a row from 30 to 0 s"),
        (HEADER + "0,30\n", "p0.csv has a row without numbers"),
        (HEADER, "p0.csv holds no sleep stages"),
        ("", "p0.csv is empty"),
        ("dear colleague,\nplease find\n", "in no format that is known for labels"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "p0.csv is in no format"),
        (HEADER + "3600,3630,N2,2\n", "its labels score nothing of its 300 s"),
        (HEADER + "0,300,Unscored,-1\n", "its labels score nothing of its 300 s"),
        (None, "no label file of this name is in"),
    ],
)
def test_a_night_whose_labels_cannot_be_used_is_named_and_the_others_stay(
    folder: Path, caplog: pytest.LogCaptureFixture, content: str | bytes | None, reason: str
) -> None:
    if content is not None:
        data = content.encode() if isinstance(content, str) else content
        (folder / "stages/p0.csv").write_bytes(data)
    with caplog.at_level(logging.WARNING):
        nights = staged(folder)
    assert nights.names == ("p1", "p2")
    ((name, why),) = nights.left_out
    assert name == "p0"
    assert reason in why
    assert why in caplog.text
    (batch,) = night_batches.held_out(nights, 2)
    assert (batch["stages"] == 2).all()
    assert batch["embeddings"][:, 0, 0, 0].tolist() == [1, 2]


def test_gaps_are_unscored_never_wake(folder: Path) -> None:
    (folder / "stages/p0.csv").write_text(HEADER + "30,60,N3,3\n120,150,REM,4\n")
    expected = [-1] * 6 + [3] * 6 + [-1] * 12 + [4] * 6 + [-1] * 30
    assert stages(folder, "p0") == expected


def test_labels_of_another_length_are_used_where_they_are_and_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "stages/p0.csv").write_text(HEADER + "0,200,N1,1\n200,4000,Wake,0\n")
    (folder / "stages/p1.csv").write_text(HEADER + "0,42,N1,1\n")
    with caplog.at_level(logging.WARNING):
        assert stages(folder, "p0") == [1] * 40 + [0] * 20
    assert stages(folder, "p1") == [1] * 8 + [-1] * 52  # the ninth step's middle is 42.5 s
    assert "check that these labels are of this night: p0: they go on 3700 s after" in caplog.text
    assert "night: p1" not in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_labels_in_other_encodings_are_read(folder: Path, encoding: str) -> None:
    text = "onset\tduration\ttrial_type\n0\t150\tSleep stage W\n150\t150\tSleep stage N3\n"
    if encoding == "latin-1":
        text += "10\t1\tgeräuschvoll\n"
    (folder / "stages/p0.tsv").write_bytes(text.encode(encoding))
    assert stages(folder, "p0") == [0] * 30 + [3] * 30


def test_without_any_usable_label_the_run_ends_in_one_sentence(folder: Path) -> None:
    for night in (1, 2):
        (folder / f"stages/p{night}.csv").unlink()
    with pytest.raises(InputError, match=r"^no night is left .* \(3 left out; first, p0: no label"):
        staged(folder)
    with pytest.raises(InputError, match="none is no folder: give the one with the nights' label"):
        with_stages(folder / "embeddings", folder / "none")


EVENTS = "Study ID,250.2,332,174.1\np0,1,0,0\np1,0,1,0\np2,1,0,0\n"
TIMES = "Study ID,250.2,332,174.1\np0,100,900,900\np1,800,200,800\np2,300,,700\n"
PEOPLE = "Study ID,age,gender\np0,40,F\np1,50,M\np2,60,F\n"


def write(folder: Path, events: str = EVENTS, times: str = TIMES, people: str = PEOPLE) -> None:
    (folder / "is_event.csv").write_text(events)
    (folder / "time_to_event.csv").write_text(times)
    (folder / "demographics.csv").write_text(people)


def diagnosed(folder: Path) -> LabelledNights:
    return with_outcomes(
        folder / "embeddings",
        read_outcomes(folder),
        read_demographics(folder / "demographics.csv"),
    )


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"events": EVENTS + "p1,1,1,1\n"}, r"is_event\.csv has the Study ID 'p1' more than once"),
        ({"times": TIMES + "p0,1,1,1\n"}, r"time_to_event\.csv has the Study ID 'p0' more than"),
        ({"people": PEOPLE + "p2,61,F\n"}, r"demographics\.csv has the Study ID 'p2' more than"),
        ({"times": TIMES.replace("332", "333")}, "do not have the same phecodes, '332', '333'"),
        ({"times": TIMES.replace(",174.1", ",332")}, "has the column '332' more than once"),
        ({"events": EVENTS.replace("p0,1,0", "p0,1,2")}, "p0 has 2 for 332, where an event is 1"),
        ({"events": TIMES}, "p0 has 100 for 250.2, where an event is 1 and none is 0: check that"),
        ({"times": TIMES.replace("800", "soon")}, "p1 has 'soon' for 250.2, which is no number"),
        ({"events": EVENTS.replace("Study ID", "Patient")}, "has 0 columns 'Study ID'"),
        ({"events": EVENTS.replace(",0,0\np1", ",0\np1")}, "line 2 has 3 cells for 4 columns"),
        ({"people": PEOPLE.replace("F", "2").replace("M", "1")}, "codes sex as 2, which may mean"),
        ({"people": PEOPLE.replace("gender", "height")}, "has no column 'gender' but 'age'"),
        (
            {"events": EVENTS.replace("p", "s"), "times": TIMES.replace("p", "s")},
            "no night is left .* first, p0: no outcome: none of its names is a Study ID",
        ),
    ],
)
def test_tables_that_cannot_be_trusted_end_in_one_sentence(
    folder: Path, tables: dict[str, str], sentence: str
) -> None:
    write(folder, **tables)
    with pytest.raises(InputError, match=sentence) as caught:
        diagnosed(folder)
    assert "\n" not in str(caught.value)


def test_unknown_times_and_earlier_diagnoses_are_in_no_risk_set_and_counted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(
        folder,
        times="Study ID,250.2,332,174.1\np0,0,nan,900\np1,-5,200,800\np2,300,,inf\n",
    )
    with caplog.at_level(logging.WARNING):
        nights = diagnosed(folder)
    (batch,) = night_batches.held_out(nights, 3)
    assert batch["time"].tolist() == [[-1, -1, 900], [-1, 200, 800], [300, -1, -1]]
    assert batch["event"].tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert "is not known in 4 cells of 3 labels, most in 332 (2 of 3 subjects)" in caplog.text
    assert "was before the night in 1 cells of 1 labels, most in 250.2 (1 of 3" in caplog.text


def test_subjects_without_night_outcome_or_age_are_named_and_the_others_stay(folder: Path) -> None:
    write(
        folder,
        events=EVENTS.replace("p0,", "q0,"),
        times=TIMES.replace("p0,", "q0,"),
        people=PEOPLE.replace("50", ""),
    )
    nights = diagnosed(folder)
    assert nights.subjects == ("p2",)
    assert dict(nights.left_out) == {
        "p0": "no outcome: none of its names is a Study ID of the tables",
        "p1": "no age and sex of p1: age or sex is not known",
        "q0": "has no night",
    }


def test_a_label_without_events_has_no_c_index_but_a_reason(folder: Path) -> None:
    write(folder)
    nights = diagnosed(folder)
    (batch,) = night_batches.held_out(nights, 4)  # with an empty row, which must not count
    scores = np.arange(12.0).reshape(4, 3)
    found = concordance.concordance(scores, batch["time"], batch["event"])
    reasons = concordance.reasons(scores, batch["time"], batch["event"])
    # 250.2: p0 and p2 fall ill on days 100 and 300, p1 (between in score) never does
    np.testing.assert_allclose(found[0], 1 / 3)
    assert found[1] == 1.0  # 332: p1 falls ill on day 200 and is above p0; p2 is not known
    assert np.isnan(found[2])
    assert reasons[:2] == ("", "")
    assert "event" in reasons[2]
