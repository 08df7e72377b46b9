"""Age and sex: every way that laboratories write them, and the two numbers of the models."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.demographics import Encoding, read_demographics, sex_of

HEADER = "Study ID,age,gender\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "demographics.csv"
    path.write_text(text)
    return path


def test_the_default_is_that_of_the_published_demonstration() -> None:
    encoded = Encoding().encode([3, 49, 98], ["F", "M", "female"])
    np.testing.assert_array_equal(encoded, np.array([[3 / 98, 0], [0.5, 1], [1, 0]], np.float32))
    assert encoded.dtype == np.float32
    assert Encoding().encode([], []).shape == (0, 2)


@given(
    st.floats(1, 200),
    st.tuples(st.floats(-2, 2), st.floats(-2, 2)).filter(lambda pair: pair[0] != pair[1]),
    st.lists(st.tuples(st.floats(0, 120), st.sampled_from("FM")), max_size=5),
)
def test_any_encoding_scales_age_and_names_sex(
    divisor: float, codes: tuple[float, float], people: list[tuple[float, str]]
) -> None:
    encoded = Encoding(divisor, *codes).encode([a for a, _ in people], [s for _, s in people])
    for (age, sex), row in zip(people, encoded, strict=True):
        assert row[0] == np.float32(age / divisor)
        assert row[1] == np.float32(codes["FM".index(sex)])


@pytest.mark.parametrize(
    "arguments", [(0.0,), (-98.0,), (float("nan"),), (98.0, 1.0, 1.0), (98.0, float("inf"), 0.0)]
)
def test_an_encoding_that_tells_nothing_is_refused(arguments: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"encodes no age|makes women and men the same"):
        Encoding(*arguments)


@pytest.mark.parametrize("age", [-1, 121, float("nan"), float("inf")])
def test_what_is_no_age_is_not_encoded(age: float) -> None:
    with pytest.raises(InputError, match="is no age in years: give 0 to 120"):
        Encoding().encode([30, age], ["F", "F"])


@pytest.mark.parametrize("text", ["", "2", "x", "mf"])
def test_what_is_no_sex_is_not_encoded(text: str) -> None:
    with pytest.raises(InputError, match="is no sex: give F or M"):
        sex_of(text)


def test_every_spelling_of_sex_is_read(tmp_path: Path) -> None:
    spelled = ["0", "0.0", "F", "f", "female", "FEMALE", "1", "1.0", "M", "m", "Male", " male "]
    rows = "".join(f"s{n},{20 + n},{text}\n" for n, text in enumerate(spelled))
    read = read_demographics(write(tmp_path, HEADER + rows))
    assert [read.sexes[f"s{n}"] for n in range(12)] == ["F"] * 6 + ["M"] * 6
    assert read.ages["s11"] == 31
    assert not read.left_out
    np.testing.assert_array_equal(
        read.encode(["s6", "s0"], Encoding(10, 2, 3)), np.array([[2.6, 3], [2, 2]], np.float32)
    )


def test_the_column_may_be_called_sex(tmp_path: Path) -> None:
    read = read_demographics(write(tmp_path, "sex,Study_ID,AGE\nM,a,40\n"))
    assert (read.ages, read.sexes) == ({"a": 40.0}, {"a": "M"})


def test_subjects_without_age_or_sex_are_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "a,40,F\nb,,F\nc,50,\nd,forty,M\ne,532,M\nf,-1,M\ng,41,diverse\nh,nan,M\n"
    with caplog.at_level(logging.WARNING):
        read = read_demographics(write(tmp_path, HEADER + rows))
    assert read.ages == {"a": 40.0}
    assert dict(read.left_out) == {
        "b": "age or sex is not known",
        "c": "age or sex is not known",
        "d": "age 'forty' is not 0 to 120 years",
        "e": "age '532' is not 0 to 120 years",
        "f": "age '-1' is not 0 to 120 years",
        "g": "gender 'diverse' is none of F, M, female, male, 0 (female), 1 (male)",
        "h": "age or sex is not known",
    }
    assert "g is left out: gender 'diverse'" in caplog.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,40,1\nb,40,2\n", r"demographics\.csv codes sex as 2, which may mean either: write F"),
        ("a,40,\n", r"has age and sex of nobody \(age or sex is not known\)"),
        ("a,40,F\na,41,F\n", r"has the Study ID 'a' more than once"),
    ],
)
def test_tables_that_would_be_misread_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_demographics(write(tmp_path, HEADER + text))


def test_a_table_without_age_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no column 'age' but 'years', 'gender': add it"):
        read_demographics(write(tmp_path, "Study ID,years,gender\na,4,F\n"))
