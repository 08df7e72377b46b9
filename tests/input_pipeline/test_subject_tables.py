"""Tables keyed by Study ID, as programs and people write them."""

from pathlib import Path

import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import subject_tables


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "Study ID,250.2,332\np1,1,0\np2,,1\n",
        "250.2,Study ID,332\n1,p1,0\n,p2,1\n",
        "\ufeffStudy ID,250.2,332\r\np1,1,0\r\np2,,1\r\n",
        "Study ID;250.2;332\np1;1;0\np2;;1\n",
        "Study ID\t250.2\t332\np1\t1\t0\np2\t\t1\n",
        '"Study ID", 250.2 ,332\n\n"p1",1, 0\n p2 ,,1\n,,\n',
        ",Study ID,250.2,Unnamed: 0,332\n0,p1,1,0,0\n1,p2,,1,1\n",
        "study_id,250.2,332\np1,1,0\np2,,1\n",
    ],
)
def test_one_table_in_many_spellings(tmp_path: Path, text: str) -> None:
    table = subject_tables.read(write(tmp_path, text))
    assert table.columns == ("250.2", "332")
    assert table.rows == {"p1": ["1", "0"], "p2": ["", "1"]}
    assert table.column("332") == {"p1": "0", "p2": "1"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"table\.csv is empty: give a table with a column 'Study ID'"),
        ("\n\n", r"table\.csv is empty"),
        ("Study ID,1\n", r"table\.csv holds no subject"),
        ("name,1\na,1\n", r"has 0 columns 'Study ID' among 'name', '1'"),
        ("Study ID,StudyID,1\na,a,1\n", r"has 2 columns 'Study ID'"),
        ("Study ID,1,2,1\na,1,2,3\n", r"has the column '1' more than once: keep one of each"),
        (
            "Study ID,1\nb,1\na,1\na,2\nb,3\nc,1\n",
            r"has the Study ID 'b', 'a' more than once: keep one of each",
        ),
        ("Study ID,1\na,1\n\nb,1,2\n", r"table\.csv, line 4 has 3 cells for 2 columns"),
        ("Study ID,1\na,1\n,2\n", r"table\.csv, line 3 has 2 cells for 2 columns, or no Study ID"),
        (b"Study ID,1\n\xff\xfe,1\n", r"table\.csv cannot be read .*: give a CSV file in UTF-8"),
        (b"Study ID,1\na\x00,1\n" + b'"' + b"x" * 200_000, r"table\.csv cannot be read"),
    ],
)
def test_what_is_no_table_is_refused_by_name(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        subject_tables.read(write(tmp_path, text))


def test_a_missing_table_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read"):
        subject_tables.read(tmp_path / "none.csv")
