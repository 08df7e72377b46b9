"""The picture of a run shows its metrics, however few there are."""

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import curves

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def lines(train: int, validated: bool = True) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in range(1, train + 1):
        found.append({"step": step, "train/loss": 3.0 / step if step != 3 else None})
        if validated and step % 10 == 0:
            found.append(
                {
                    "step": step,
                    "validation/loss": 4.0 / step,
                    "validation/retrieval/top1": step / train,
                    "validation/retrieval/top5": 1.0,
                    "validation/retrieval/candidates": 100,
                }
            )
    return found


def drawn(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """The labelled lines of a drawing."""
    return {
        str(line.get_label()): [(float(x), float(y)) for x, y in line.get_xydata()]  # type: ignore[union-attr]
        for line in axes.lines
        if not str(line.get_label()).startswith("_")
    }


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def test_losses_are_drawn_where_they_are_numbers(axes: Axes) -> None:
    curves._draw_loss(axes, lines(20))
    assert drawn(axes) == {
        "training": [(step, 3.0 / step) for step in range(1, 21) if step != 3],
        "held-out nights": [(10, 0.4), (20, 0.2)],
    }


def test_retrieval_is_drawn_against_chance(axes: Axes) -> None:
    curves._draw_retrieval(axes, lines(20))
    assert drawn(axes) == {
        "top-1": [(10, 0.5), (20, 1.0)],
        "top-5": [(10, 1.0), (20, 1.0)],
        "top-1 by chance": [(10, 0.01), (20, 0.01)],
        "top-5 by chance": [(10, 0.05), (20, 0.05)],
    }
    assert axes.get_title() == "among 100 candidates from held-out nights"


def test_many_losses_get_a_smooth_line(axes: Axes) -> None:
    curves._draw_loss(axes, lines(400, validated=False))
    steps, losses = curves.curve(lines(400), "train/loss")
    assert drawn(axes)["training"] == list(zip(steps, curves.smooth(losses), strict=True))
    assert curves.smooth([1.0, 3.0, 8.0, 4.0, 9.0], 1) == [2.0, 4.0, 5.0, 7.0, 6.5]


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("validated", [True, False])
def test_any_run_can_be_drawn(tmp_path: Path, count: int, validated: bool) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines(count, validated)))
    picture = curves.plot(path)
    assert picture == tmp_path / "curves.png"
    assert picture.read_bytes().startswith(SIGNATURE)
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, picture.name}


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "train/loss": 1.0}\n')
    with pytest.raises(InputError, match=r"picture.png: cannot be written"):
        curves.plot(path, path / "picture.png")


def test_heads_show_their_scores(axes: Axes) -> None:
    name = "validation/concordance"
    curves._draw_scores(axes, [{"step": 1, name: 0.5}, {"step": 2, name: 0.75}])
    found = drawn(axes)
    assert found["C-index, mean over labels"] == [(1, 0.5), (2, 0.75)]
    assert set(found) == {"C-index, mean over labels", "C-index, mean over labels, by chance"}
