"""The staging job: numbers and files, from EDFs and from embeddings; resuming; what fails."""

import csv
import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax import inference
from sleepfm_jax.commands.stage import main
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations, embeddings, hypnogram_writers
from sleepfm_jax.input_pipeline.hypnogram import epochs, most_likely
from sleepfm_jax.input_pipeline.simulate import simulate_night, write_edf
from sleepfm_jax.jobs.embed import embed
from sleepfm_jax.jobs.stage import stage
from tests.jobs.small_models import night_embeddings, save_models, store

pytestmark = pytest.mark.usefixtures("compiled_once")

FILES = ("_events.tsv", "_hypnogram.edf", "_hypnogram.json", "_steps.tsv", ".annot", ".png")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings of two nights; the second is in a subfolder."""
    nights = (night_embeddings("a"), night_embeddings("sub/b", seed=1))
    return store(tmp_path_factory.mktemp("stored"), *nights)


def told(folder: Path, name: str) -> np.ndarray:
    """(T, 5) probabilities in the table of steps."""
    with (folder / f"{name}_steps.tsv").open() as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    return np.array([row[3:] for row in rows], float)


def statistics(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "sleep_statistics.csv").open() as file:
        return {row["night"]: row for row in csv.DictReader(file)}


def test_every_night_gets_its_files_with_the_models_numbers(
    models: Path, stored: Path, tmp_path: Path
) -> None:
    assert stage([stored], models, tmp_path).done == 2
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    each = (f"{night}{ending}" for night in ("a", "sub/b") for ending in FILES)
    assert names == sorted([*each, "sleep_statistics.csv"])
    expected = inference.load_stager(models).stage(embeddings.read(stored, "a"))
    assert expected.shape == (95, 5)
    np.testing.assert_allclose(told(tmp_path, "a"), expected, atol=1e-6)
    hypnogram = annotations.read_hypnogram(tmp_path / "a_hypnogram.edf")
    np.testing.assert_array_equal(hypnogram.stages, most_likely(epochs(expected)))
    assert hypnogram.stops[-1] == 95 * 5
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_statistics_have_a_row_a_night(models: Path, stored: Path, tmp_path: Path) -> None:
    stage([stored / "sequence" / "a.hdf5"], models, tmp_path)
    stage([stored / "sequence" / "sub"], models, tmp_path)  # another run, the same cohort
    rows = statistics(tmp_path)
    assert sorted(rows) == ["a", "b"]
    minutes = [float(rows["a"][f"minutes_{stage}"]) for stage in ("N1", "N2", "N3", "REM")]
    hypnogram = annotations.read_hypnogram(tmp_path / "a.annot")
    asleep = (hypnogram.stops - hypnogram.starts)[hypnogram.stages > 0].sum() / 60
    assert sum(minutes) == pytest.approx(asleep, abs=1e-4)
    assert float(rows["a"]["time_in_bed"]) == pytest.approx(95 / 12, abs=1e-4)


def test_from_edf_to_stages_as_by_way_of_embeddings(models: Path, tmp_path: Path) -> None:
    night = tmp_path / "night.edf"
    write_edf(night, simulate_night(seed=3, night=0, hours=8 / 60))
    embed([night], models, tmp_path / "embeddings")
    stage([night], models, tmp_path / "direct")
    stage([tmp_path / "embeddings"], models, tmp_path / "two_steps")
    direct, two = (told(tmp_path / way, "night") for way in ("direct", "two_steps"))
    assert direct.shape == (96, 5)
    np.testing.assert_array_equal(direct, two)
    json_text = (tmp_path / "direct" / "night_hypnogram.json").read_text()
    assert str(tmp_path) not in json_text


def test_a_second_run_skips_what_is_done_and_does_again_what_changed(
    models: Path, stored: Path, tmp_path: Path
) -> None:
    night = tmp_path / "in" / "sequence" / "a.hdf5"
    night.parent.mkdir(parents=True)
    shutil.copy(stored / "sequence" / "a.hdf5", night)
    output = tmp_path / "out"
    assert stage([tmp_path / "in"], models, output).done == 1
    assert stage([tmp_path / "in"], models, output).skipped == [(str(night), "done before")]
    assert stage([night], models, output).skipped == [(str(night), "done before")]
    assert stage([night], models, output, overwrite=True).done == 1
    (output / "a_hypnogram.json").write_text("{")
    assert stage([night], models, output).done == 1
    other = save_models(tmp_path / "other", staging=5)
    before = told(output, "a")
    assert stage([night], other, output).done == 1
    assert not np.allclose(told(output, "a"), before)
    store(tmp_path / "in", night_embeddings("a", seed=9))
    assert stage([night], other, output).done == 1


def test_failing_nights_are_listed_and_the_others_staged(
    models: Path, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(stored, tmp_path / "in")
    folder = tmp_path / "in" / "sequence"
    odd = night_embeddings("odd")
    odd.sequence["BAS"][3, 2] = np.nan
    store(tmp_path / "in", odd)
    (folder / "broken.hdf5").write_bytes((folder / "a.hdf5").read_bytes()[:900])
    (folder / "text.edf").write_text("no EDF")
    arguments = ["--model", str(models), "--output", str(tmp_path / "out")]
    assert main([*arguments, str(tmp_path / "in")]) == 1
    printed = capsys.readouterr().out
    assert "2 done, 0 skipped, 3 failed" in printed
    assert "odd.hdf5 holds values that are no numbers in BAS" in printed
    listed = (tmp_path / "out" / "failures.csv").read_text()
    assert all(name in listed for name in ("odd.hdf5", "broken.hdf5", "text.edf"))
    assert sorted(statistics(tmp_path / "out")) == ["a", "sub/b"]
    assert main([*arguments, str(folder / "text.edf")]) == 2
    assert not (tmp_path / "out" / "text.png").exists()


def test_a_night_that_could_not_be_written_whole_is_not_done(
    models: Path, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    night = [stored / "sequence" / "a.hdf5"]
    with monkeypatch.context() as patch:
        patch.setattr(hypnogram_writers, "write_luna", full)
        summary = stage(night, models, tmp_path)
    assert summary.status == 2
    assert "a.annot cannot be written (No space left on device)" in summary.failed[0][1]
    assert not list(tmp_path.glob(".*"))
    assert not (tmp_path / "a_hypnogram.json").exists()
    assert stage(night, models, tmp_path).done == 1


def test_embeddings_of_another_foundation_model_are_refused(models: Path, tmp_path: Path) -> None:
    night = night_embeddings("a")
    night = type(night)(**{**vars(night), "provenance": {"model_sha256": "of another"}})
    summary = stage([store(tmp_path / "in", night)], models, tmp_path / "out")
    assert "was embedded by another foundation model" in summary.failed[0][1]


def test_a_head_alone_is_enough_for_embeddings(
    models: Path, stored: Path, edge: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(models / "staging", alone)
    night = stored / "sequence" / "a.hdf5"
    assert stage([night], alone, tmp_path / "out").done == 1
    summary = stage([edge / "test_uneven_samp.edf"], alone, tmp_path / "out")
    assert summary.status == 2
    assert "which needs the foundation model beside the head" in summary.failed[0][1]


def test_embeddings_of_five_minutes_are_passed_over(
    models: Path, stored: Path, tmp_path: Path
) -> None:
    """They stand beside the others where a folder above both is given."""
    shutil.copytree(stored, tmp_path / "in" / "embeddings")
    summary = stage([tmp_path / "in"], models, tmp_path / "out")
    assert summary.done == 2
    reasons = {reason for _, reason in summary.skipped}
    assert reasons == {"embeddings every 300 s, not every 5 s"}


def test_a_damaged_night_costs_its_row_of_statistics_alone(
    models: Path, stored: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage([stored], models, tmp_path)
    (tmp_path / "a_events.tsv").write_text("onset\tduration\n")
    assert len(stage([stored], models, tmp_path).skipped) == 2
    assert sorted(statistics(tmp_path)) == ["sub/b"]
    assert "a has no row in sleep_statistics.csv" in caplog.text


def test_no_stager_and_no_night_are_refused_in_a_sentence(
    models: Path, stored: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="staging"):
        stage([stored], models / "base", tmp_path / "out")
    with pytest.raises(InputError, match="does not exist"):
        stage([tmp_path / "none.edf"], models, tmp_path / "out")


def test_a_real_night_has_stages_for_its_labels(models: Path, psg: Path, tmp_path: Path) -> None:
    folder = psg / "dreams_excerpt3"
    assert stage([folder / "excerpt3.edf"], models, tmp_path).done == 1
    staged = annotations.read_hypnogram(tmp_path / "excerpt3_hypnogram.edf")
    scored = annotations.read_hypnogram(folder / "Hypnogram_excerpt3.txt")
    assert staged.stops[-1] == scored.stops[-1] == 1800
    assert len(staged.stages) == 60
    assert json.loads((tmp_path / "excerpt3_hypnogram.json").read_text())["n_stages"] == 5


def test_help_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(f"NIGHT{ending}" in text for ending in FILES)
