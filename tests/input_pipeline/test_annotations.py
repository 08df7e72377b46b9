"""Hypnograms from the published staging CSV, and stages by time."""

from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.annotations import read_staging_csv

HEADER = "Start,Stop,StageName,StageNumber\n"


def test_stages_are_found_by_time_not_by_row(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    path.write_text(HEADER + "60,90,N2,2\n0,30,Wake,0\n30,60,N1,1\n120,150,REM,4\n")
    hypnogram = read_staging_csv(path)
    times = np.array([-1, 0, 29.9, 30, 65, 90, 119, 120, 149, 150])
    np.testing.assert_array_equal(hypnogram.at(times), [-1, 0, 0, 1, 2, -1, -1, 4, 4, -1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        "Start,Stop\n0,30\n",
        HEADER + "0,thirty,Wake,0\n",
        HEADER + "0,30,N5,5\n",
        HEADER + "30,0,Wake,0\n",
        HEADER + "0,60,Wake,0\n30,90,N1,1\n",
        HEADER + "0,30\n",
    ],
)
def test_what_is_no_hypnogram_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "night.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"night\.csv"):
        read_staging_csv(path)


def test_a_missing_or_binary_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv"):
        read_staging_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"binary\.csv"):
        read_staging_csv(tmp_path / "binary.csv")
