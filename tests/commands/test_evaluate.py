"""`sleepfm-jax evaluate` as a user meets it."""

from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.commands import evaluate
from sleepfm_jax.errors import InputError
from sleepfm_jax.jobs import pictures
from tests.jobs.test_evaluate_risk import make_cohort, write_night
from tests.jobs.test_evaluate_staging import score, stage, stages_of

Capture = pytest.CaptureFixture[str]


def test_staging_says_how_good_it_was_and_what_failed(tmp_path: Path, capsys: Capture) -> None:
    for seed in range(3):
        stage(tmp_path / "staged", f"n{seed}", seed, stages_of(seed), right=20)
        if seed < 2:
            score(tmp_path / "labels", f"n{seed}", stages_of(seed))
    folders = ["--predictions", str(tmp_path / "staged"), "--labels", str(tmp_path / "labels")]
    arguments = ["staging", *folders, "--output", str(tmp_path / "out"), "--resamples", "20"]
    assert evaluate.main(arguments) == 1
    out = capsys.readouterr().out
    assert "all: accuracy 1.000 (1.000 to 1.000), macro-F1 1.000" in out
    assert "2 nights, 2 subjects" in out
    assert "failed  n2 has no label file" in out
    assert "2 done, 0 skipped, 1 failed" in out
    assert (tmp_path / "out" / "metrics.csv").is_file()
    score(tmp_path / "labels", "n2", stages_of(2))
    assert evaluate.main([*arguments, "--night-pictures", "--subject", "^(n)"]) == 0
    assert "3 nights, 1 subject\n" in capsys.readouterr().out
    assert (tmp_path / "out" / "nights" / "n2.png").is_file()
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_risk_names_the_best_labels(tmp_path: Path, capsys: Capture) -> None:
    cohort = make_cohort(tmp_path / "cohort", 80)
    for subject, scores in zip(cohort.subjects, cohort.score, strict=True):
        write_night(tmp_path / "risks", subject, scores)
    folders = ["--predictions", str(tmp_path / "risks"), "--outcomes", str(tmp_path / "cohort")]
    arguments = ["risk", *folders, "--output", str(tmp_path / "out"), "--resamples", "50"]
    assert evaluate.main([*arguments, "--horizon", "5"]) == 0
    out = capsys.readouterr().out
    assert "3 of 4 labels have a C-index" in out
    assert "disease 250.2: C-index 0." in out
    assert "80 subjects" in out
    assert "80 done, 0 skipped, 0 failed" in out


def test_two_runs_give_the_same_bytes_and_another_seed_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "save", lambda draw, path: None)  # noqa: ARG005
    cohort = make_cohort(tmp_path / "cohort", 60)
    for subject, scores in zip(cohort.subjects, cohort.score, strict=True):
        write_night(tmp_path / "risks", subject, np.round(scores))
    folders = ["--predictions", str(tmp_path / "risks"), "--outcomes", str(tmp_path / "cohort")]
    tables = []
    for run, seed in enumerate("112"):
        out = tmp_path / str(run)
        flags = ["--output", str(out), "--resamples", "20", "--seed", seed]
        assert evaluate.main(["risk", *folders, *flags]) == 0
        tables.append((out / "metrics.csv").read_bytes())
    assert tables[0] == tables[1] != tables[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["staging"], "--predictions, --labels, --output"),
        (["risk", "--horizon", "0"], "'0' is not a number of years"),
        (["risk", "--resamples", "0"], "'0' is not a whole number from 1 up"),
        ([], "staging | risk"),
        (["both"], "invalid choice: 'both'"),
    ],
)
def test_wrong_flags_are_refused(arguments: list[str], said: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        evaluate.main(arguments)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["staging", "risk"])
def test_each_kind_teaches(kind: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        evaluate.main([kind, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: sleepfm-jax evaluate {kind} ")
    assert f"\n  sleepfm-jax evaluate {kind} --" in out
    assert "metrics.csv" in out
    assert max(map(len, out.splitlines())) <= 100


def test_nothing_to_judge_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ["--predictions", str(tmp_path / "empty"), "--output", str(tmp_path / "out")]
    with pytest.raises(InputError, match="holds no staged night"):
        evaluate.main(["staging", *arguments, "--labels", str(tmp_path)])
    inside = ["--predictions", str(tmp_path), "--output", str(tmp_path / "out")]
    for kind in (["staging", "--labels"], ["risk", "--outcomes"]):
        with pytest.raises(InputError, match="which is read: give another --output"):
            evaluate.main([*kind, str(tmp_path), *inside])
    with pytest.raises(InputError, match=r"is_event\.csv cannot be read"):
        evaluate.main(["risk", *arguments, "--outcomes", str(tmp_path)])
