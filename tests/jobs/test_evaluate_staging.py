"""Staged nights beside their scoring: matched by time, judged by subject, written down."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate.sleep_statistics import sleep_statistics
from sleepfm_jax.input_pipeline import hypnogram_writers
from sleepfm_jax.input_pipeline.hypnogram import STAGES, epochs, most_likely
from sleepfm_jax.jobs import staged_nights, staging_pictures
from sleepfm_jax.jobs.evaluate_staging import Grouping, evaluate_staging

EPOCHS = 40


def stages_of(seed: int, count: int = EPOCHS) -> np.ndarray:
    """(count,) in stays of five epochs, wake first."""
    draw = np.random.default_rng(seed)
    return np.append([0], np.repeat(draw.integers(0, 5, -(-count // 5)), 5))[:count]


def stage(folder: Path, name: str, seed: int, stages: np.ndarray, right: float = 3.0) -> np.ndarray:
    """Writes a night as the model stages it, mostly right; (T, 5) probabilities."""
    draw = np.random.default_rng(seed)
    logits = draw.standard_normal((6 * len(stages), 5))
    logits[np.arange(len(logits)), np.repeat(stages, 6)] += right
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    hypnogram_writers.write(folder / name, shares)
    return shares


def score(folder: Path, name: str, stages: np.ndarray, start: float = 0.0) -> Path:
    """Writes the scorer's CSV, whose epochs begin `start` seconds into the recording."""
    path = folder / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{start + 30 * k},{start + 30 * k + 30},,{code}" for k, code in enumerate(stages)]
    path.write_text("\n".join(["Start,Stop,StageName,StageNumber", *rows]) + "\n")
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Four nights of two cohorts, the probabilities of each, and their results."""
    home = tmp_path_factory.mktemp("staging")
    names = ["a/s1_1", "a/s1_2", "a/s2_1", "b/s1_1"]
    shares = {}
    for seed, name in enumerate(names):
        shares[name] = stage(home / "staged", name, seed, stages_of(seed), right=1.2)
        score(home / "labels", name, stages_of(seed))
    summary, _ = evaluate_staging(
        home / "staged",
        home / "labels",
        home / "results",
        Grouping(subject=r"(s\d)_"),
        resamples=50,
        draw_nights=True,
    )
    assert (summary.done, summary.status) == (4, 0)
    return home / "results", shares


def test_metrics_are_those_of_the_nights_at_5_and_30_seconds(
    judged: tuple[Path, dict[str, np.ndarray]],
) -> None:
    results, shares = judged
    rows = {(r["cohort"], r["seconds"], r["measure"]): r for r in rows_of(results / "metrics.csv")}
    assert len(rows) == 3 * 2 * 8
    for seconds in (5, 30):
        truth, told = [], []
        for seed, probabilities in enumerate(shares.values()):
            stages = stages_of(seed)
            truth.append(np.repeat(stages, 6) if seconds == 5 else stages)
            told.append(most_likely(probabilities if seconds == 5 else epochs(probabilities)))
        for cohort, of in (("a", slice(0, 3)), ("b", slice(3, 4)), ("pooled", slice(0, 4))):
            y, guess = np.concatenate(truth[of]), np.concatenate(told[of])
            found = {m: rows[cohort, str(seconds), m] for m in ("accuracy", "macro-F1", "kappa")}
            assert float(found["accuracy"]["value"]) == pytest.approx((y == guess).mean(), rel=1e-5)
            assert float(found["macro-F1"]["value"]) == pytest.approx(
                metrics.f1_score(y, guess, average="macro"), rel=1e-5
            )
            assert float(found["kappa"]["value"]) == pytest.approx(
                metrics.cohen_kappa_score(y, guess), rel=1e-5
            )
            assert int(found["kappa"]["count"]) == len(y)
    assert rows["a", "30", "kappa"]["subjects"] == "2"
    assert rows["pooled", "30", "kappa"]["subjects"] == "3"  # s1 of a is not s1 of b
    assert rows["b", "30", "kappa"]["reason"] == "no interval: one subject cannot be resampled"
    assert rows["b", "30", "kappa"]["lower"] == ""
    better = float(rows["pooled", "30", "accuracy"]["value"])
    assert better > float(rows["pooled", "5", "accuracy"]["value"])


def test_every_table_and_picture_is_there(judged: tuple[Path, dict[str, np.ndarray]]) -> None:
    results, shares = judged
    pictures = {str(p.relative_to(results)) for p in results.rglob("*.png")}
    nights = {f"nights/{name}.png" for name in shares}
    assert pictures == {"confusion.png", "sleep_statistics.png", *nights}
    confusion = rows_of(results / "confusion.csv")
    assert len(confusion) == 3 * 2 * 25
    assert sum(int(r["count"]) for r in confusion) == 2 * 4 * EPOCHS * (1 + 6)
    assert {r["subject"] for r in rows_of(results / "nights.csv")} == {"s1", "s2"}
    statistics = rows_of(results / "sleep_statistics.csv")
    assert [r["by"] for r in statistics] == ["scorer", "model"] * 4
    expected = sleep_statistics(stages_of(1)).flat()
    for name, value in expected.items():
        assert float(statistics[2][name] or "nan") == pytest.approx(value, rel=1e-5, nan_ok=True)
    (sleep,) = (
        r
        for r in rows_of(results / "sleep_statistics_agreement.csv")
        if r["statistic"] == "total_sleep_time"
    )
    scorer, model = (
        np.array([float(r["total_sleep_time"]) for r in statistics if r["by"] == who])
        for who in ("scorer", "model")
    )
    assert float(sleep["bias"]) == pytest.approx((model - scorer).mean(), abs=1e-6)
    assert sleep["count"] == "4"


def test_labels_are_matched_by_time(tmp_path: Path) -> None:
    """A scoring that begins two minutes into the recording is not shifted onto its start."""
    stages = stages_of(5)
    stage(tmp_path / "staged", "n", 0, stages, right=20)
    score(tmp_path / "labels", "n", stages[4:], start=120)
    found = staged_nights.match("n", tmp_path / "staged" / "n_steps.tsv", tmp_path / "labels")
    assert (found.truth_epochs[:4] == -1).all()
    np.testing.assert_array_equal(found.truth_epochs[4:], stages[4:])
    np.testing.assert_array_equal(found.epochs, stages)
    assert found.scorer.lights_off == found.model.lights_off == 2
    assert found.note == ""


def test_lights_of_the_label_file_bound_the_night(tmp_path: Path) -> None:
    stages = np.repeat([0, 2, 4, 0], 10)
    stage(tmp_path / "staged", "n", 0, stages, right=20)
    lines = [f"{30 * k}\t30\tSleep stage {'W12?R'[c]}" for k, c in enumerate(stages)]
    lines += ["165\t0\tLights off", "1005\t0\tLights on"]
    (tmp_path / "n.tsv").write_text("\n".join(["onset\tduration\ttrial_type", *lines]) + "\n")
    found = staged_nights.match("n", tmp_path / "staged" / "n_hypnogram.json", tmp_path)
    assert (found.scorer.time_in_bed, found.scorer.sleep_onset_latency) == (14, 2.25)
    assert found.model.time_in_bed == 14
    assert found.scorer.wake_after_sleep_onset == 1.75


def test_other_label_files_can_be_the_predictions(tmp_path: Path) -> None:
    """As of a second scorer, in whatever format."""
    stages = stages_of(6)
    score(tmp_path / "one", "n", stages)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "n.annot").write_text(
        "class\tinstance\tchannel\tstart\tstop\tmeta\n"
        + "".join(
            f"{('W', 'N1', 'N2', 'N3', 'R')[c]}\t.\t.\t{30 * k}.0\t{30 * k + 30}.0\t.\n"
            for k, c in enumerate(stages)
        )
    )
    _, found = evaluate_staging(tmp_path / "two", tmp_path / "one", tmp_path / "out", resamples=5)
    assert found["all"].values["accuracy"] == 1
    (night,) = rows_of(tmp_path / "out" / "nights.csv")
    assert night["confidence"] == ""


def test_the_model_is_as_sure_as_its_probabilities(tmp_path: Path) -> None:
    shares = stage(tmp_path / "staged", "n", 0, stages_of(1))
    score(tmp_path / "labels", "n", stages_of(1))
    (prediction,) = staged_nights.find_predictions(tmp_path / "staged").values()
    assert prediction.name == "n_steps.tsv"
    found = staged_nights.match("n", prediction, tmp_path / "labels")
    assert found.confidence == pytest.approx(shares.max(axis=1).mean(), abs=1e-5)
    (tmp_path / "staged" / "n_steps.tsv").unlink()
    ((name, prediction),) = staged_nights.find_predictions(tmp_path / "staged").items()
    assert (name, prediction.name) == ("n", "n_hypnogram.json")
    found = staged_nights.match("n", prediction, tmp_path / "labels")
    assert found.confidence == pytest.approx(epochs(shares).max(axis=1).mean(), abs=1e-5)


def test_what_is_odd_about_labels_is_noted_and_the_rest_used(tmp_path: Path) -> None:
    stages = stages_of(2)
    stage(tmp_path / "staged", "n", 0, stages, right=20)
    prediction = tmp_path / "staged" / "n_steps.tsv"
    score(tmp_path, "n", np.append(stages, [0] * 10))
    long = staged_nights.match("n", prediction, tmp_path)
    assert long.note == "labels go on 5.0 min after the night's end, which are not used"
    assert len(long.truth_epochs) == EPOCHS
    score(tmp_path, "n", stages[:8])
    assert staged_nights.match("n", prediction, tmp_path).note == "labels cover 20 % of the night"


def test_nights_that_cannot_be_judged_are_listed_and_the_others_judged(tmp_path: Path) -> None:
    staged, labels = tmp_path / "staged", tmp_path / "labels"
    for seed, name in enumerate(["fine", "unlabelled", "elsewhen", "empty", "broken"]):
        stage(staged, name, seed, stages_of(seed))
    score(labels, "fine", stages_of(0))
    score(labels, "elsewhen", stages_of(2), start=30 * EPOCHS)
    (labels / "empty.tsv").write_text("onset\tduration\ttrial_type\n3\t1\tarousal\n")
    score(labels, "broken", stages_of(4))
    (staged / "broken_steps.tsv").write_text("onset\tduration\ttrial_type\n0\t5\tSleep stage W\n1")
    summary, found = evaluate_staging(staged, labels, tmp_path / "out", resamples=5)
    assert (summary.done, summary.status) == (1, 1)
    assert found["all"].nights == 1
    said = {row["file"]: row["reason"] for row in rows_of(tmp_path / "out" / "failures.csv")}
    assert "unlabelled has no label file in" in said["unlabelled"]
    assert "elsewhen.csv scores no epoch within the 20.0 minutes" in said["elsewhen"]
    assert "empty.tsv holds no sleep stages" in said["empty"]
    assert "broken_steps.tsv" in said["broken"]
    assert len(said) == 4


def test_damaged_probabilities_are_a_sentence(tmp_path: Path) -> None:
    stage(tmp_path, "n", 0, stages_of(0))
    path = tmp_path / "n_hypnogram.json"
    path.write_text(path.read_text().replace('"N3": [', '"N4": ['))
    with pytest.raises(InputError, match=r"n_hypnogram\.json holds damaged probabilities"):
        staged_nights.probabilities(path)


def test_a_folder_without_what_is_needed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder: give the one that"):
        evaluate_staging(tmp_path / "none", tmp_path, tmp_path / "out")
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "failures.csv").write_text("file,reason\n")
    with pytest.raises(InputError, match="holds no staged night"):
        evaluate_staging(tmp_path / "staged", tmp_path, tmp_path / "out")
    stage(tmp_path / "staged", "n", 0, stages_of(0))
    with pytest.raises(InputError, match=r"no night of .* could be judged .* n has no label file"):
        evaluate_staging(tmp_path / "staged", tmp_path / "staged" / "x", tmp_path / "out")


def test_subjects_and_cohorts_come_from_a_table_or_from_names(tmp_path: Path) -> None:
    table = tmp_path / "nights.csv"
    table.write_text("Study ID,subject,cohort\nn1,ann,old\nn2,ann,old\n")
    read = Grouping(table=table).reader()
    assert read("n1") == read("sub/n2") == ("ann", "old")
    with pytest.raises(InputError, match=r"nights\.csv has no subject of n3: add a line"):
        read("n3")
    table.write_text("Study ID,cohort\nx_1,new\n")
    assert Grouping(subject="(.*)_", table=table).reader()("x_1") == ("x", "new")
    assert Grouping().reader()("x_1") == ("x_1", "all")
    assert Grouping(cohort="^(.)").reader()("site/x_1") == ("site/x_1", "s")
    table.write_text("Study ID,age\nx_1,3\n")
    with pytest.raises(InputError, match="neither a column subject nor one cohort"):
        Grouping(table=table).reader()
    with pytest.raises(InputError, match="no group"):
        Grouping(cohort="x").reader()("x")


def test_pictures_show_what_was_counted(tmp_path: Path) -> None:
    stages = stages_of(3)
    stage(tmp_path / "staged", "n", 0, stages, right=1)
    score(tmp_path, "n", np.where(np.arange(EPOCHS) < 5, -1, stages))
    night = staged_nights.match("n", tmp_path / "staged" / "n_steps.tsv", tmp_path)
    top, middle, bottom = staging_pictures.night(night).axes
    assert [axes.get_ylabel() for axes in (top, middle, bottom)] == ["scorer", "model", "differ"]
    shown = np.ma.filled(bottom.collections[0].get_array().astype(float), np.nan).ravel()
    assert np.isnan(shown[:5]).all()
    np.testing.assert_array_equal(shown[5:], (night.epochs != stages)[5:])
    _, found = evaluate_staging(tmp_path / "staged", tmp_path, tmp_path / "out", resamples=5)
    (axes,) = staging_pictures.confusions(found).axes
    texts = [text.get_text().split("\n")[1] for text in axes.texts]
    seen = found["all"].confusion[found["all"].confusion.sum(axis=1) > 0]
    assert texts == [str(count) for count in seen.ravel()]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(STAGES)
