"""Pictures of nights: components that are what they say, and a file for every night."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embeddings
from sleepfm_jax.input_pipeline.annotations import Hypnogram
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.jobs.plot import draw, plot, principal_components, without_positions
from sleepfm_jax.main import main


def make_night(name: str = "night", patches: int = 300) -> NightEmbeddings:
    rng = np.random.default_rng(0)
    rows = {m: rng.standard_normal((patches, 16)).astype(np.float32) for m in ("BAS", "EKG")}
    pooled = {m: array[::60].copy() for m, array in rows.items()}
    return NightEmbeddings(name, pooled, rows, {"BAS": ("C3-M2",), "EKG": ("ECG",)}, (), {})


def test_components_are_uncorrelated_of_unit_variance_and_falling_share() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((500, 3)) * [1.0, 5.0, 2.0] @ np.linalg.qr(rng.random((6, 3)))[0].T
    components = principal_components(rows, 8)
    assert components.shape == (500, 3)  # the rows span no more
    np.testing.assert_allclose(components.T @ components / 500, np.eye(3), atol=1e-9)
    explained = [
        np.corrcoef(components[:, k], rows @ v)[0, 1] ** 2
        for k, v in enumerate(np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2][:3])
    ]
    np.testing.assert_allclose(explained, 1.0)


def test_what_repeats_in_every_window_is_taken_off_and_nothing_else() -> None:
    rng = np.random.default_rng(2)
    rhythm = np.tile(rng.standard_normal((60, 4)), (5, 1))[:290]
    slow = np.repeat(np.arange(5.0), 60)[:290, None] * np.ones(4)
    flat = without_positions(rhythm)
    np.testing.assert_allclose(flat, 0, atol=1e-12)
    assert np.ptp(without_positions(rhythm + slow)) > 3
    short = rhythm[:200]
    np.testing.assert_array_equal(without_positions(short), short)


def test_the_picture_shows_modalities_and_stages() -> None:
    stages = Hypnogram(np.array([0.0]), np.array([700.0]), np.array([2], np.int8))
    axes = draw(make_night(), stages).axes
    assert [a.get_ylabel() for a in axes] == ["stage", "BAS", "EKG", "second component"]
    legend = axes[-1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["N2", "unscored"]


def test_without_a_hypnogram_the_map_shows_time() -> None:
    axes = draw(make_night(), None).axes
    assert [a.get_ylabel() for a in axes[:3]] == ["BAS", "EKG", "second component"]
    assert axes[-1].get_ylabel() == "hours"
    np.testing.assert_allclose(axes[2].collections[0].get_array(), np.arange(300) * 5 / 3600)
    draw(make_night(patches=1), None)  # a night of one patch has no spread at all


def test_every_night_gets_its_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "sub/b"):
        embeddings.write(tmp_path / "embeddings", make_night(name))
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "a.csv").write_text("Start,Stop,StageName,StageNumber\n0,60,N2,2\n")
    arguments = ["--embeddings", str(tmp_path / "embeddings"), "--output", str(tmp_path / "out")]
    assert main(["plot", *arguments, "--stages", str(tmp_path / "stages")]) == 0
    shapes = [imread(tmp_path / "out" / name).shape for name in ("a.png", "sub/b.png")]
    assert shapes[0][0] > shapes[1][0] > 300  # a hypnogram takes room
    assert capsys.readouterr().out.count(".png") == 2


def test_no_embeddings_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no embeddings"):
        plot(tmp_path, tmp_path)
