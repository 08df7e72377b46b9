"""Risks against records: tables hold what the metrics say, whoever is left out is named."""

import csv
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from lifelines.utils import concordance_index
from sksurv.metrics import cumulative_dynamic_auc
from sksurv.util import Surv

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate import calibration, survival
from sleepfm_jax.input_pipeline.outcomes import read_outcomes
from sleepfm_jax.jobs import pictures, risk_pictures, risk_predictions
from sleepfm_jax.jobs.evaluate_risk import Settings, evaluate_risk
from sleepfm_jax.models.disease_risk import DemographicRiskConfig
from sleepfm_jax.saved_model import Outcomes, SavedModel

CODES = ("250.2", "401.1", "332", "999")  # nobody gets the last one
YEAR = 365.25


@dataclasses.dataclass(frozen=True)
class Cohort:
    subjects: list[str]
    score: np.ndarray
    time: np.ndarray
    event: np.ndarray


def make_cohort(folder: Path, N: int = 150) -> Cohort:
    """Outcomes of N subjects as tables, and scores that tell something of them."""
    draw = np.random.default_rng(0)
    truth = draw.standard_normal((N, 4))
    onset = draw.exponential(np.exp(-truth)) * [20, 20, 60, 1e9] * YEAR
    end = draw.uniform(3, 15, (N, 1)) * YEAR
    event = onset <= end
    time = np.ceil(np.where(event, onset, end)).astype(int)
    subjects = [f"s{n:03d}" for n in range(N)]
    write(
        folder / "is_event.csv", ["Study ID", *CODES], zip(subjects, event.astype(int), strict=True)
    )
    write(folder / "time_to_event.csv", ["Study ID", *CODES], zip(subjects, time, strict=True))
    write_rows(
        folder / "label_mapping.csv",
        ["label_idx", "phecode", "phenotype"],
        [[k, code, f"disease {code}"] for k, code in enumerate(CODES)],
    )
    return Cohort(subjects, truth + draw.standard_normal((N, 4)), time, event)


def write(path: Path, header: Iterable[str], rows: Iterable[tuple[str, np.ndarray]]) -> None:
    write_rows(path, header, [[subject, *cells] for subject, cells in rows])


def write_rows(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_night(folder: Path, subject: str, score: np.ndarray) -> Path:
    """As `sleepfm-jax risk` writes one night, the highest hazard first."""
    order = np.argsort(-score)
    rows = [[CODES[k], "", repr(float(score[k])), r + 1] for r, k in enumerate(order)]
    write_rows(folder / f"{subject}.csv", ["phecode", "phenotype", "log_hazard", "rank"], rows)
    return folder / f"{subject}.csv"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cohort]:
    """A cohort's outcomes in `cohort`, its risks a night a file in `risks`."""
    folder = tmp_path_factory.mktemp("risk")
    cohort = make_cohort(folder / "cohort")
    for subject, score in zip(cohort.subjects, cohort.score, strict=True):
        write_night(folder / "risks", subject, score)
    return folder, cohort


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of the time, and other tests look at them."""
    monkeypatch.setattr(pictures, "save", lambda draw, path: None)  # noqa: ARG005


def test_metrics_are_those_of_the_oracles(home: tuple[Path, Cohort]) -> None:
    folder, cohort = home
    settings = Settings(horizon=5, resamples=100)
    summary, _ = evaluate_risk(folder / "risks", folder / "cohort", folder / "out", settings)
    assert summary.status == 0
    rows = rows_of(folder / "out" / "metrics.csv")
    assert [r["phecode"] for r in rows] == list(CODES)  # as the outcomes, not as the first night
    assert rows[0]["phenotype"] == "disease 250.2"
    for k, row in enumerate(rows[:3]):
        t, e, s = cohort.time[:, k], cohort.event[:, k], cohort.score[:, k]
        assert float(row["c_index"]) == pytest.approx(concordance_index(t, -s, e), rel=1e-5)
        late = t > 5 * YEAR
        there = Surv.from_arrays(e & ~late, np.where(late, 5 * YEAR + 1, t))
        auc, _ = cumulative_dynamic_auc(there, there, s, 5 * YEAR)
        assert float(row["auroc"]) == pytest.approx(auc[0], rel=1e-5)
        assert int(row["cases"]) == (e & ~late).sum()
        assert float(row["lower"]) < float(row["c_index"]) < float(row["upper"])
        assert float(row["auroc_lower"]) < float(row["auroc"]) < float(row["auroc_upper"])
        assert float(row["p_bonferroni"]) == pytest.approx(3 * float(row["p"]), rel=1e-4)
        assert row["reason"] == ""
    assert rows[3]["c_index"] == rows[3]["auroc"] == rows[3]["p"] == ""
    assert rows[3]["reason"] == "no event"
    assert rows[3]["auroc_reason"] == "no event by the horizon"
    drawn = {path.name for path in (folder / "out").glob("*.png")}
    assert drawn == {"c_index.png", "calibration.png", "survival.png"}
    assert not (folder / "out" / "left_out.csv").exists()


@pytest.mark.usefixtures("undrawn")
def test_calibration_without_a_model_takes_the_level_of_the_outcomes(
    home: tuple[Path, Cohort],
) -> None:
    folder, cohort = home
    settings = Settings(horizon=5, resamples=10)
    evaluate_risk(folder / "risks", folder / "cohort", folder / "level", settings)
    rows = rows_of(folder / "level" / "calibration.csv")
    assert len(rows) == 4 * 5
    columns = cohort.score, cohort.time, cohort.event
    risk = survival.risk(cohort.score, *survival.baseline(*columns), 5 * YEAR)
    expected = calibration.calibration(risk[:, 1], cohort.time[:, 1], cohort.event[:, 1], 5 * YEAR)
    found = [r for r in rows if r["phecode"] == "401.1"]
    for g, row in enumerate(found):
        assert row["baseline"] == "these outcomes"
        for name, values in dataclasses.asdict(expected).items():
            assert float(row[name] or "nan") == pytest.approx(values[g], rel=1e-5, nan_ok=True)
    assert {r["reason"] for r in rows[15:]} == {
        "no outcome is known, or no event tells the baseline hazard"
    }


@pytest.mark.usefixtures("undrawn")
def test_a_model_brings_its_own_baseline(
    home: tuple[Path, Cohort], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose columns are matched by phecode, and whose level is that of its training."""
    folder, cohort = home
    times = np.array([100.0, 5 * YEAR, 6 * YEAR])
    cumulative = np.array([[0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1]])
    weights = {"baseline.times": times, "baseline.cumulative": cumulative[:, ::-1]}
    saved = SavedModel(
        DemographicRiskConfig(),
        weights,
        outcomes=Outcomes(tuple((code, "") for code in CODES[::-1])),
    )
    monkeypatch.setattr(
        saved_model, "load", lambda path, role: saved if role == "diagnosis" else path
    )
    settings = Settings(horizon=5.5, resamples=5, model=folder)
    evaluate_risk(folder / "risks", folder / "cohort", folder / "own", settings)
    rows = rows_of(folder / "own" / "calibration.csv")
    assert {row["baseline"] for row in rows} == {"model"}
    risk = 1 - np.exp(-0.1 * np.exp(cohort.score[:, 0]))
    lowest = np.sort(risk)[:30]
    assert float(rows[0]["predicted"]) == pytest.approx(lowest.mean(), rel=1e-5)
    saved.weights["baseline.times"] = times - 2 * YEAR  # ends long before the horizon
    evaluate_risk(folder / "risks", folder / "cohort", folder / "own", settings)
    rows = rows_of(folder / "own" / "calibration.csv")
    assert {row["baseline"] for row in rows} == {"these outcomes"}


@pytest.mark.usefixtures("undrawn")
def test_models_are_compared_on_the_same_subjects(home: tuple[Path, Cohort]) -> None:
    folder, cohort = home
    worse = cohort.score + 2 * np.random.default_rng(5).standard_normal(cohort.score.shape)
    other = folder / "other.csv"  # a column a phecode, in another order and without one of them
    header = ["Study ID", *CODES[2::-1]]
    write(other, header, zip(cohort.subjects[::-1], worse[::-1, 2::-1], strict=True))
    settings = Settings(resamples=100, against=other)
    evaluate_risk(folder / "risks", folder / "cohort", folder / "pair", settings)
    rows = rows_of(folder / "pair" / "difference.csv")
    assert [r["phecode"] for r in rows] == list(CODES[:3])
    for k, row in enumerate(rows):
        theirs = concordance_index(cohort.time[:, k], -worse[:, k], cohort.event[:, k])
        assert float(row["other_c_index"]) == pytest.approx(theirs, rel=1e-5)
        gain = float(row["c_index"]) - theirs
        assert float(row["difference"]) == pytest.approx(gain, abs=1e-5)
        assert float(row["lower"]) < gain < float(row["upper"])
    assert float(rows[0]["lower"]) > 0


@pytest.mark.usefixtures("undrawn")
def test_whoever_is_left_out_is_named(home: tuple[Path, Cohort], tmp_path: Path) -> None:
    folder, cohort = home
    for subject, score in zip(cohort.subjects[5:], cohort.score[5:], strict=True):
        write_night(tmp_path / "risks", subject, score)
    write_night(tmp_path / "risks", "stranger", cohort.score[0])
    broken = tmp_path / "risks" / "s007.csv"
    broken.write_text(broken.read_text().replace("401.1,,", "401.1,,x"))
    arguments = tmp_path / "risks", folder / "cohort", tmp_path / "out", Settings(resamples=5)
    summary, judged = evaluate_risk(*arguments)
    assert len(judged.table.subjects) == 144
    assert summary.status == 1
    said = [reason for _, reason in summary.failed]
    assert "s007.csv gives s007 'x" in said[0]
    assert said[1] == "stranger: no outcomes"
    rows = {row["Study ID"]: row["reason"] for row in rows_of(tmp_path / "out" / "left_out.csv")}
    assert rows == {"stranger": "no outcomes"} | dict.fromkeys(
        [*cohort.subjects[:5], "s007"], "no risk"
    )


@pytest.mark.usefixtures("undrawn")
def test_unknown_times_are_left_out_of_their_label(
    home: tuple[Path, Cohort], tmp_path: Path
) -> None:
    folder, cohort = home
    for name in ("is_event.csv", "time_to_event.csv"):
        rows = list(csv.reader((folder / "cohort" / name).open(newline="")))
        for row in rows[1:41]:
            row[2] = "" if name.startswith("time") else row[2]
        write_rows(tmp_path / "cohort" / name, rows[0], rows[1:])
    arguments = folder / "risks", tmp_path / "cohort", tmp_path / "out", Settings(resamples=5)
    evaluate_risk(*arguments)
    row = rows_of(tmp_path / "out" / "metrics.csv")[1]
    assert row["subjects"] == "110"
    rest = (cohort.time[40:, 1], -cohort.score[40:, 1], cohort.event[40:, 1])
    assert float(row["c_index"]) == pytest.approx(concordance_index(*rest), rel=1e-5)


def test_a_cohort_without_any_event_has_reasons_and_no_pictures(
    home: tuple[Path, Cohort], tmp_path: Path
) -> None:
    folder, cohort = home
    write(
        tmp_path / "cohort" / "is_event.csv",
        ["Study ID", *CODES],
        zip(cohort.subjects, 0 * cohort.event.astype(int), strict=True),
    )
    os.link(folder / "cohort" / "time_to_event.csv", tmp_path / "cohort" / "time_to_event.csv")
    _, judged = evaluate_risk(
        folder / "risks", tmp_path / "cohort", tmp_path / "out", Settings(resamples=5)
    )
    assert np.isnan(judged.c_index.estimate).all()
    assert {row["reason"] for row in rows_of(tmp_path / "out" / "metrics.csv")} == {"no event"}
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.usefixtures("undrawn")
def test_the_best_labels_are_those_that_can_be_trusted(home: tuple[Path, Cohort]) -> None:
    folder, _ = home
    _, judged = evaluate_risk(
        folder / "risks", folder / "cohort", folder / "best", Settings(resamples=20)
    )
    estimate, best = judged.c_index.estimate, judged.best(10)
    assert sorted(best) == [0, 1, 2]
    assert (np.diff(estimate[best]) <= 0).all()
    few = dataclasses.replace(judged.c_index, lower=np.array([np.nan, 0.1, 0.1, np.nan]))
    assert dataclasses.replace(judged, c_index=few).best(3)[-1] == 0
    figure = risk_pictures.forest(judged.c_index, judged.table, best)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[0].startswith(f"disease {CODES[best[0]]} [{CODES[best[0]]}]")
    centres = np.concatenate([line.get_xdata() for line in figure.axes[0].lines[:2]])
    np.testing.assert_allclose(sorted(centres), sorted(estimate[best]))


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({}, "holds no CSV: give what `sleepfm-jax risk` wrote"),
        ({"failures": "file,reason\n"}, "holds no CSV"),
        ({"a": "phecode,log_hazard\n"}, r"a\.csv holds no risk"),
        ({"a": "phecode,log_hazard\n1\n"}, r"a\.csv, line 2 has not 2 cells"),
        ({"a": "phecode,log_hazard\n1,0.5\n1,0.6\n"}, r"a\.csv has 1 of a twice"),
        ({"a": "phecode,log_hazard\n1,nan\n"}, r"a\.csv gives a 'nan' for 1, which is no log"),
        (
            {"a": "Study ID,phecode,log_hazard\nx,1,1\nx,2,1\ny,1,1\n"},
            r"a\.csv lacks '2' of y: give all",
        ),
        (
            {"a": "phecode,log_hazard\n1,1\n", "b": "Study ID,phecode,log_hazard\na,1,2\n"},
            r"b\.csv has a, which .*a\.csv has as well",
        ),
        (
            {"a": "phecode,log_hazard\n1,1\n", "b": "phecode,log_hazard\n2,1\n"},
            r"b\.csv and .*a\.csv do not have the same phecodes, '1', '2' being",
        ),
        ({"a": "Study ID,1\nx,1\nx,2\n"}, r"a\.csv has the Study ID 'x' more than once"),
        ({"a": "Study ID,1\nx,?\n"}, r"a\.csv gives x '\?' for 1"),
        ({"a": "\xff"}, r"a\.csv .*"),
    ],
)
def test_faulty_tables_are_a_sentence(tables: dict[str, str], said: str, tmp_path: Path) -> None:
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=said):
        risk_predictions.read_whole(tmp_path)


def test_tables_of_every_shape_say_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "risks"
    folder.mkdir()
    (folder / "x.csv").write_text("phecode,phenotype,log hazard,rank\n2,b,0.5,1\n1,a,-1,2\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "y.csv").write_text("Study ID,Phecode,Log_Hazard\nsub/y,1,3\nsub/y,2,4\n")
    (folder / "sub" / "z.csv").write_text("phecode,log_hazard\n1,5\n2,6\n")
    found = risk_predictions.read_whole(folder)
    assert found.labels == ("1", "2")
    assert found.subjects == ("sub/y", "sub/z", "x")
    np.testing.assert_array_equal(found.log_hazard, [[3, 4], [5, 6], [-1, 0.5]])
    (tmp_path / "wide.csv").write_text("Study ID,1,2\nsub/y,3,4\nsub/z,5,6\nx,-1,0.5\n")
    wide = risk_predictions.read_whole(tmp_path / "wide.csv")
    assert (wide.subjects, wide.labels) == (found.subjects, found.labels)
    np.testing.assert_array_equal(wide.log_hazard, found.log_hazard)


def test_subjects_or_labels_without_a_match_are_refused(
    home: tuple[Path, Cohort], tmp_path: Path
) -> None:
    folder, cohort = home
    assert read_outcomes(folder / "cohort").subjects[0] == "s000"
    write_night(tmp_path / "risks", "nobody", cohort.score[0])
    with pytest.raises(InputError, match="of none of the 1 subjects with risks, such as 'nobody'"):
        evaluate_risk(tmp_path / "risks", folder / "cohort", tmp_path / "out")
    (tmp_path / "other.csv").write_text("Study ID,888\ns000,1\ns001,2\n")
    settings = Settings(resamples=5, against=tmp_path / "other.csv")
    with pytest.raises(InputError, match="two models have no phecode in common"):
        evaluate_risk(folder / "risks", folder / "cohort", tmp_path / "out", settings)
    with pytest.raises(InputError, match="none of the wanted phecodes"):
        evaluate_risk(tmp_path / "other.csv", folder / "cohort", tmp_path / "out")
