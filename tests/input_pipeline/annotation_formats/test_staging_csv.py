"""The published staging CSV."""

from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.annotations import read_hypnogram

HEADER = "Start,Stop,StageName,StageNumber\n"


def test_rows_in_any_order_with_gaps(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    path.write_text(HEADER + "60,90,N2,2\n0,30,Wake,0\n30,60,N1,1\n120,150,REM,4\n150,155,?,-1.0\n")
    hypnogram = read_hypnogram(path)
    np.testing.assert_array_equal(hypnogram.starts, [0, 30, 60, 120, 150])
    np.testing.assert_array_equal(hypnogram.stops, [30, 60, 90, 150, 155])
    np.testing.assert_array_equal(hypnogram.stages, [0, 1, 2, 4, -1])


def test_more_columns_and_other_separators(tmp_path: Path) -> None:
    path = tmp_path / "night"
    path.write_text("EmbeddingNumber;Start;Stop;StageName;StageNumber\n7;0.0;5.0;Wake;0\n")
    assert read_hypnogram(path).stops == [5.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (HEADER, "holds no sleep stages"),
        ("Start,Stop\n0,30\n", "is in no format that is known"),
        (HEADER + "0,thirty,Wake,0\n", "has a row without numbers .*thirty"),
        (HEADER + "0,30,N5,5\n", "holds the stage number 5"),
        (HEADER + "0,30,N2,2.5\n", "holds the stage number 2.5"),
        (HEADER + "30,0,Wake,0\n", "has a row from 30 to 0 s"),
        (HEADER + "nan,30,Wake,0\n", "has a row from nan to 30 s"),
        (HEADER + "0,inf,Wake,0\n", "holds 'Wake' at 0 s for inf s"),
        (HEADER + "0,60,Wake,0\n30,90,N1,1\n", "holds overlapping stages .*60 s.*30 s"),
        (HEADER + "0,30\n", "has a row without numbers"),
        (HEADER + '0,30,"' + "x" * 200_000 + '",2\n', "is a damaged table"),
    ],
)
def test_what_is_no_hypnogram_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "night.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"night\.csv {words}"):
        read_hypnogram(path)
