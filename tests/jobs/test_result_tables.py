"""Results on disk: numbers as numbers, nothing half-written."""

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from sleepfm_jax.errors import InputError
from sleepfm_jax.jobs import pictures, result_tables


def test_numbers_are_read_back(tmp_path: Path) -> None:
    row = {"name": "a, b", "p": np.float64(1.5e-300), "n": np.int64(7), "x": np.nan, "flag": True}
    result_tables.write(tmp_path / "new" / "t.csv", [row, {**row, "x": np.float32(0.1)}])
    with (tmp_path / "new" / "t.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["name"], float(first["p"]), first["n"], first["x"]) == ("a, b", 1.5e-300, "7", "")
    assert float(second["x"]) == pytest.approx(0.1, rel=1e-6)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["t.csv"]


def test_what_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"t\.csv cannot be written .*: free some space or"):
        result_tables.write(tmp_path / "file" / "t.csv", [{"a": 1}])
    with pytest.raises(InputError, match=r"p\.png cannot be written .*: free some space or"):
        pictures.save(Figure, tmp_path / "file" / "p.png")


def test_results_are_not_written_among_what_is_read(tmp_path: Path) -> None:
    for inside in (tmp_path / "risks", tmp_path / "risks" / "new", tmp_path / "x" / ".." / "risks"):
        with pytest.raises(InputError, match="risks, which is read: give another --output"):
            result_tables.refuse_inside(inside, tmp_path / "risks")
    result_tables.refuse_inside(tmp_path, tmp_path / "risks")
    result_tables.refuse_inside(tmp_path / "risks2", tmp_path / "risks")


def test_a_picture_that_fails_leaves_nothing(tmp_path: Path) -> None:
    pictures.save(lambda: Figure(figsize=(2, 1)), tmp_path / "p.png")
    assert imread(tmp_path / "p.png").shape[:2] == (120, 240)

    def fail() -> Figure:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pictures.save(fail, tmp_path / "q.png")
    assert [file.name for file in tmp_path.iterdir()] == ["p.png"]
