"""Nights meet their labels by time and by subject; what has none is left out and named."""

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.demographics import Demographics, Encoding
from sleepfm_jax.input_pipeline.labelled_nights import LabelledNights, with_outcomes, with_stages
from sleepfm_jax.input_pipeline.outcomes import OutcomeTable
from sleepfm_jax.input_pipeline.splits import Splits
from tests.input_pipeline import small_embeddings

LENGTHS = [70, 61, 12, 130, 64, 90]
BY_SUBJECT = Splits(subject=r"(p\d+)_")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_embeddings.cohort(tmp_path, LENGTHS)


def staged(folder: Path, split: str | None = None, splits: Splits = BY_SUBJECT) -> LabelledNights:
    return with_stages(folder / "embeddings", folder / "stages", split, splits)


def table(*subjects: str) -> OutcomeTable:
    N = len(subjects)
    return OutcomeTable(
        subjects=subjects,
        labels=("250.2",),
        phenotypes=("",),
        time=np.arange(N, dtype=np.float32)[:, None],
        event=np.ones((N, 1), bool),
        earlier=np.zeros((N, 1), bool),
    )


def test_every_step_has_the_stage_at_its_middle(folder: Path) -> None:
    nights = staged(folder)
    assert nights.names == ("p0_a", "p0_b", "p1_a", "p1_b", "p2_a", "p2_b")
    assert nights.subjects == ("p0", "p1", "p2")
    assert nights.subject_of.tolist() == [0, 0, 1, 1, 2, 2]
    assert nights.steps.tolist() == LENGTHS
    assert nights.left_out == ()
    for night, stages in enumerate(nights.stages or ()):
        np.testing.assert_array_equal(stages, small_embeddings.stages(night, LENGTHS[night]))


def test_labels_of_another_clock_are_met_by_time_not_by_row(folder: Path) -> None:
    (folder / "stages/p0_a.csv").write_text(
        "Start,Stop,StageName,StageNumber\n12,42,N2,2\n42,57.6,REM,4\n300,360,Wake,0\n"
    )
    stages = (staged(folder).stages or ())[0]
    assert stages[:13].tolist() == [-1, -1, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, -1]
    assert stages[59:].tolist() == [-1] + [0] * 10  # from 300 s on; labels go on after 350 s


def test_splits_keep_the_nights_of_a_subject_together(folder: Path) -> None:
    halves = Splits(seed=1, fractions=(0.5, 0.25, 0.25), subject=BY_SUBJECT.subject)
    found: list[str] = []
    for split in ("train", "validation", "test"):
        try:
            nights = staged(folder, split, halves)
        except InputError as error:
            assert "no night is left in split" in str(error)  # noqa: PT017 (few subjects)
            continue
        assert all(halves.split_of(name) == split for name in nights.names)
        assert len(nights) == 2 * len(nights.subjects)
        found += nights.names
    assert sorted(found) == sorted(staged(folder).names)


def test_a_split_without_nights_is_refused(folder: Path) -> None:
    all_train = Splits(fractions=(1.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"no night is left in split 'test' of .*embeddings \(0 l"):
        staged(folder, "test", all_train)


def test_nights_that_cannot_be_staged_are_left_out_and_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stages = folder / "stages"
    (stages / "p0_a.csv").unlink()
    (stages / "p0_b.csv").write_text("Start,Stop,StageName,StageNumber\n0,30,N7,7\n")
    (stages / "p1_a.csv").write_text("Start,Stop,StageName,StageNumber\n900,930,N2,2\n")
    with h5py.File(folder / "embeddings/sequence/p1_b.hdf5", "r+") as file:
        file["RESP"][5, 1] = np.nan
    small_embeddings.write(folder / "embeddings/sequence/odd.hdf5", 0, 60)
    with caplog.at_level(logging.WARNING):
        nights = staged(folder)
    assert nights.names == ("p2_a", "p2_b")
    assert nights.steps.tolist() == LENGTHS[4:]
    reasons = dict(nights.left_out)
    assert reasons.pop("p0_a") == f"no label file of this name is in {stages}"
    assert "p0_b.csv" in reasons.pop("p0_b")
    assert reasons.pop("p1_a") == "its labels score nothing of its 60 s"
    assert "holds values that are no numbers in RESP" in reasons.pop("p1_b")
    assert "has no subject by" in reasons.pop("odd")
    assert not reasons
    assert f"left out of the nights in {folder / 'embeddings'}: p0_a: no label file" in caplog.text
    assert "check that these labels are of this night: p1_a: they go on 870 s after" in caplog.text


def test_a_cohort_without_any_label_is_refused_with_the_first_reason(folder: Path) -> None:
    empty = folder / "none"
    empty.mkdir()
    with pytest.raises(InputError, match=r"\(6 left out; first, p0_a: no label file of this name"):
        with_stages(folder / "embeddings", empty, splits=BY_SUBJECT)


def test_outcomes_are_found_by_night_subject_or_last_name(tmp_path: Path) -> None:
    for number, name in enumerate(("s1", "p2_a", "p2_b", "x/s3", "x/s4", "y/s4", "s9")):
        small_embeddings.write(tmp_path / "sequence" / f"{name}.hdf5", number, 10)
    splits = Splits(subject=r"^(p\d+|.+)")
    nights = with_outcomes(tmp_path, table("s4", "s3", "p2", "s1", "s7"), splits=splits)
    assert nights.names == ("p2_a", "p2_b", "s1", "x/s3")
    assert [nights.subjects[row] for row in nights.subject_of] == ["p2", "p2", "s1", "s3"]
    assert nights.outcomes is not None
    assert nights.outcomes.subjects == nights.subjects
    np.testing.assert_array_equal(nights.outcomes.time[:, 0], [2, 3, 1])
    reasons = dict(nights.left_out)
    assert reasons.keys() == {"s9", "x/s4", "y/s4", "s7", "s4"}
    assert reasons["s7"] == reasons["s4"] == "has no night"
    assert "none of its names is a Study ID" in reasons["x/s4"]


def test_a_study_id_of_the_night_itself_goes_before_that_of_its_subject(tmp_path: Path) -> None:
    for number, name in enumerate(("x/p5_a", "y/p5_a")):
        small_embeddings.write(tmp_path / f"{name}.hdf5", number, 10)
    nights = with_outcomes(tmp_path, table("p5", "x/p5_a"), splits=Splits(subject=r"(p\d+)_"))
    assert [nights.subjects[row] for row in nights.subject_of] == ["x/p5_a", "p5"]


def test_a_subject_without_demographics_is_left_out_only_where_they_are_asked_for(
    folder: Path,
) -> None:
    outcomes = table("p0", "p1", "p2")
    known = Demographics(
        {"p0": 49.0, "p9": 30.0}, {"p0": "M", "p9": "F"}, (("p1", "age or sex is not known"),)
    )
    nights = with_outcomes(
        folder / "embeddings", outcomes, known, Encoding(age_divisor=49), splits=BY_SUBJECT
    )
    assert nights.subjects == ("p0",)
    np.testing.assert_array_equal(nights.demographics, [[1, 1]])
    assert dict(nights.left_out) == {
        "p1_a": "no age and sex of p1: age or sex is not known",
        "p1_b": "no age and sex of p1: age or sex is not known",
        "p2_a": "no age and sex of p2: not in the table",
        "p2_b": "no age and sex of p2: not in the table",
    }
    everyone = with_outcomes(folder / "embeddings", outcomes, splits=BY_SUBJECT)
    assert everyone.subjects == ("p0", "p1", "p2")
    assert everyone.demographics is None


def test_tables_of_others_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"7 left out; first, p0_a: no outcome: none of its names"):
        with_outcomes(folder / "embeddings", table("someone"), splits=BY_SUBJECT)
