"""The probe of stored embeddings: scikit-learn's numbers, by subject, of any model here."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler, normalize

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate.probe import STRENGTH
from sleepfm_jax.input_pipeline import embedded_rows, embeddings
from sleepfm_jax.input_pipeline.embedded_rows import Choice, EmbeddedRows
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.input_pipeline.hypnogram import STAGES
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.jobs import pictures
from sleepfm_jax.jobs.probe import Plan, Probed, probe
from tests.jobs.embedded_cohort import cohort
from tests.jobs.test_evaluate_staging import rows_of, score

PLAN = Plan(modality="each", shots=(1, 3), repeats=3, resamples=30)
NAMES = ["respiratory", "sleep_stages", "ekg", "all"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def probed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, EmbeddedRows, list[Probed]]:
    """Every modality, with a curve."""
    output = tmp_path_factory.mktemp("results")
    return output, *probe(folder, output, plan=PLAN)


def reference(folder: Path, modalities: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities of the test split, by scikit-learn alone."""
    sides = []
    for split in ("train", "test"):
        rows = embedded_rows.read(folder, splits=(split,))
        kept = (rows.stages >= 0) & rows.present[:, modalities].any(axis=1)
        x = np.concatenate([normalize(rows.x[kept, m].astype(float)) for m in modalities], axis=1)
        sides.append((x, rows.stages[kept]))
    (train_x, train_y), (test_x, test_y) = sides
    scaler = StandardScaler().fit(train_x)
    regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000, tol=1e-6)
    regression.fit(scaler.transform(train_x), train_y)
    return test_y, regression.predict_proba(scaler.transform(test_x))


@pytest.mark.parametrize(("name", "modalities"), [("ekg", [2]), ("all", [0, 1, 2])])
def test_numbers_are_scikit_learns(
    probed: tuple[Path, EmbeddedRows, list[Probed]], folder: Path, name: str, modalities: list[int]
) -> None:
    output, _, found = probed
    truth, told = reference(folder, modalities)
    rows = {r["class"]: r for r in rows_of(output / "metrics.csv") if r["modality"] == name}
    assert list(rows) == ["macro", *STAGES]
    areas = []
    for k, stage in enumerate(STAGES):
        auroc = metrics.roc_auc_score(truth == k, told[:, k])
        auprc = metrics.average_precision_score(truth == k, told[:, k])
        areas.append((auroc, auprc))
        row = rows[stage]
        assert float(row["AUROC"]) == pytest.approx(auroc, abs=1e-3)
        assert float(row["AUPRC"]) == pytest.approx(auprc, abs=3e-3)
        assert float(row["prevalence"]) == pytest.approx((truth == k).mean(), rel=1e-5)
        assert int(row["support"]) == (truth == k).sum()
        assert float(row["AUROC_lower"]) <= float(row["AUROC"]) <= float(row["AUROC_upper"])
    macro = np.mean(areas, axis=0)
    assert float(rows["macro"]["AUROC"]) == pytest.approx(macro[0], abs=1e-3)
    assert int(rows["macro"]["support"]) == len(truth)
    summary = json.loads((output / "summary.json").read_text())["by_modality"][name]
    one = next(one for one in found if one.modality == name)
    assert summary["kappa"]["value"] == one.scores.values["kappa"]
    assert summary["accuracy"]["value"] == pytest.approx((told.argmax(1) == truth).mean(), abs=0.01)
    assert summary["train_rows"] == one.classifier.samples


def test_what_carries_more_of_the_stage_is_probed_better(
    probed: tuple[Path, EmbeddedRows, list[Probed]],
) -> None:
    values = {one.modality: one.scores.values["macro AUROC"] for one in probed[2]}
    assert list(values) == NAMES
    assert 0.6 < values["respiratory"] < values["sleep_stages"] < values["all"]


def test_what_was_used_and_left_out_is_written(
    probed: tuple[Path, EmbeddedRows, list[Probed]],
) -> None:
    output, _, _ = probed
    summary = json.loads((output / "summary.json").read_text())
    assert summary["plan"]["shots"] == [1, 3]
    assert summary["unscored_rows_left_out"] == 14 * 3
    assert summary["left_out"] == {}
    assert summary["splits"]["train"]["subjects"] == 4
    assert summary["splits"]["train"]["rows"] == sum(summary["splits"]["train"]["stages"].values())
    assert summary["splits"]["test"]["nights"] == 6
    lacking = summary["by_modality"]["ekg"]["rows_without_the_modality_left_out"]
    assert lacking == 14 * 3  # every tenth of 40 clips; one of these four is unscored
    assert summary["by_modality"]["all"]["rows_without_the_modality_left_out"] == 0
    assert {p.name for p in output.iterdir()} == {
        *("metrics.csv", "summary.json", "stages.png", "few_shot.csv", "few_shot.png")
    }


def test_the_curve_ends_with_all_training_subjects(
    probed: tuple[Path, EmbeddedRows, list[Probed]],
) -> None:
    output, _, found = probed
    with (output / "few_shot.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(r["modality"], r["subjects"]) for r in rows] == [
        (name, k) for name in NAMES for k in ("1", "3", "4")
    ]
    last = rows[-1]
    whole = found[-1].scores.values
    assert float(last["macro AUROC"]) == pytest.approx(whole["macro AUROC"], rel=1e-5)
    assert (last["macro AUROC_sd"], last["draws"]) == ("", "1")
    assert [r["draws"] for r in rows[:2]] == ["3", "3"]
    assert float(rows[9]["mean_samples"]) == found[-1].classifier.samples / 4


def write_foundation(folder: Path, nights: int, stages: np.ndarray) -> None:
    """5-second rows whose EEG tells the stage; the last epoch has two of its six rows."""
    draw = np.random.default_rng(0)
    for number in range(nights):
        steps = np.repeat(np.roll(stages, number), 6)[: 6 * len(stages) - 4]
        tell = np.eye(5, 6)[steps] + 0.3 * draw.standard_normal((len(steps), 6))
        noise = draw.standard_normal((len(steps), 6))
        rows = {"BAS": tell, "RESP": noise}
        labels = dict.fromkeys(rows, ())
        night = NightEmbeddings(f"s{number}_1", rows, rows, labels, (), {})
        embeddings.write(folder, night)


def test_the_foundation_model_is_probed_with_label_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any night may lack labels; modalities that nobody has are named."""
    monkeypatch.setattr(pictures, "save", lambda draw, path: None)  # noqa: ARG005
    stages = np.repeat(np.arange(5), 4)
    write_foundation(tmp_path / "embeddings", 5, stages)
    for number in range(4):
        score(tmp_path / "labels", f"s{number}_1", np.roll(stages, number))
    splits = Splits(
        subject=r"^(s\d)",
        published={f"s{n}_1": "train" if n < 2 else "judge" for n in range(5)},
    )
    rows, found = probe(
        tmp_path / "embeddings",
        tmp_path / "out",
        Choice(labels=tmp_path / "labels", splits=splits),
        Plan(test="judge", modality="each", resamples=20),
    )
    assert [one.modality for one in found] == ["BAS", "RESP", "all"]
    assert "EKG is not probed" in caplog.text
    assert found[0].scores.values["macro AUROC"] > 0.95
    assert found[1].scores.values["macro AUROC"] < 0.7
    assert found[0].scores.samples == 2 * 19
    assert [name for name, _ in rows.left_out] == ["s4_1"]


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        ({"modality": "eeg"}, r"no modality is called 'eeg': give respiratory, sleep_stages, ekg"),
        ({"shots": (1, 5)}, r"5 subjects cannot be drawn .* split train has 4"),
        ({"train": "pretrain"}, r"no night .* in split 'pretrain'; there are test, train"),
        ({"train": "test"}, r"split test cannot be both"),
        ({"strength": -1.0}, r"a strength of -1 fits nothing"),
    ],
)
def test_plans_that_cannot_be_are_refused(
    plan: dict[str, Any], fault: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=fault):
        probe(folder, tmp_path / "out", plan=Plan(**plan))
    assert not (tmp_path / "out").exists()


def test_subjects_on_both_sides_and_one_stage_alone_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"subject 1 is in split t\w+ \(night \w1\) and in t"):
        probe(folder, tmp_path / "out", Choice(subject=r"(\d)$"))
    for name in ("a1", "e1"):
        score(tmp_path / "labels", name, np.full(40, 2))
    with pytest.raises(InputError, match=r"all cannot be probed .*of class 2.*check the labels"):
        probe(folder, tmp_path / "out", Choice(labels=tmp_path / "labels"))
    with pytest.raises(InputError, match="lies in"):
        probe(folder, folder / "out")
