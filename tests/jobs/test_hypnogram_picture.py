"""The picture of a staged night: what its lines, areas and bars show."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sleepfm_jax.input_pipeline.hypnogram import UNSCORED
from sleepfm_jax.jobs.hypnogram_picture import draw
from sleepfm_jax.jobs.plot import COLOURS

STAGES = np.array([0, 0, 1, 2, 2, 2, 3, UNSCORED, 4, 4], np.int8)
SHARES = np.full((10, 5), 0.1)
SHARES[np.arange(10), STAGES] = 0.6
SHARES[7] = np.nan


@pytest.fixture(scope="module")
def picture() -> Figure:
    return draw("sub/night", STAGES, SHARES, 56)


def test_the_hypnogram_shows_each_run_in_its_row_and_colour(picture: Figure) -> None:
    axes = picture.axes[0]
    rows = {
        label.get_text(): y
        for label, y in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
    }
    assert sorted(rows, key=rows.__getitem__) == ["N3", "N2", "N1", "REM", "Wake", "unscored"]
    drawn = {
        to_hex(runs.get_color()[0]): [segment.tolist() for segment in runs.get_segments()]
        for runs in axes.collections
    }
    minute = 1 / 60
    np.testing.assert_allclose(
        drawn[COLOURS["N2"]], [[[1.5 * minute, rows["N2"]], [3 * minute, rows["N2"]]]]
    )
    assert [x * 60 for x, _ in drawn[COLOURS["REM"]][0]] == pytest.approx([4, 56 * 5 / 60])
    assert axes.get_title(loc="left") == "sub/night"


def test_the_hypnodensity_stacks_to_one_and_leaves_the_unknown_white(picture: Figure) -> None:
    areas = picture.axes[1].patches
    tops = np.stack([area.get_data().values for area in areas])
    np.testing.assert_allclose(tops[-1][STAGES >= 0], 1)
    assert np.isnan(tops[:, 7]).all()
    np.testing.assert_allclose(np.diff(tops[:, 6]), 0.1)  # N3 lies at the ground
    assert tops[0, 6] == pytest.approx(0.6)


def test_the_bars_tell_minutes_of_the_whole(picture: Figure) -> None:
    told = [text.get_text() for text in picture.axes[2].texts]
    assert told == [
        *("1 min  21%", "0.5 min  11%", "1.5 min  32%", "0.5 min  11%"),
        *("0.67 min  14%", "0.5 min  11%"),
    ]


def test_a_night_without_a_single_stage_can_be_drawn() -> None:
    nothing = draw("night", np.full(2, UNSCORED, np.int8), np.full((2, 5), np.nan), 7)
    assert [text.get_text() for text in nothing.axes[2].texts][-1] == "0.58 min  100%"
