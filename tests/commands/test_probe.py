"""`sleepfm-jax probe` as a user meets it."""

from pathlib import Path

import pytest

from sleepfm_jax.commands import probe
from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate.probe import STRENGTH
from sleepfm_jax.jobs import pictures
from tests.jobs.embedded_cohort import cohort
from tests.jobs.test_evaluate_staging import rows_of, score

Capture = pytest.CaptureFixture[str]


def test_every_stage_is_printed_and_what_was_used(tmp_path: Path, capsys: Capture) -> None:
    folders = ["--embeddings", str(cohort(tmp_path / "in")), "--output", str(tmp_path / "out")]
    more = ["--resamples", "20", "--few-shot", "2,1", "--repeats", "2"]
    assert probe.main([*folders, *more]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["all", "AUROC", "AUPRC", "guessing", "F1", "epochs"]
    assert [line.split()[0] for line in lines[:6]] == ["macro", "Wake", "N1", "N2", "N3", "REM"]
    macro = rows_of(tmp_path / "out" / "metrics.csv")[0]
    assert f" {float(macro['AUROC']):.3f} (" in lines[0]
    said = "\n".join(lines)
    assert "fitted on 296 epochs of 4 subjects (train), judged on 222 of 3 (test)" in said
    assert "all: 1 training subjects: macro AUROC 0." in said
    assert "left out: 0 nights, and 42 epochs" in said
    assert "few_shot.png" in lines[-1]
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_two_runs_give_the_same_bytes_and_another_seed_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "save", lambda draw, path: None)  # noqa: ARG005
    folder = cohort(tmp_path / "in")
    tables = []
    for run, seed in enumerate("112"):
        out = tmp_path / str(run)
        flags = ["--few-shot", "2", "--repeats", "2", "--resamples", "20", "--draw-seed", seed]
        assert probe.main(["--embeddings", str(folder), "--output", str(out), *flags]) == 0
        tables.append([(out / name).read_bytes() for name in ("metrics.csv", "few_shot.csv")])
    assert tables[0] == tables[1]
    assert all(one != other for one, other in zip(tables[0], tables[2], strict=True))


def test_labels_modality_and_splits_are_taken_from_the_flags(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "save", lambda draw, path: None)  # noqa: ARG005
    folders = ["--embeddings", str(cohort(tmp_path / "in")), "--output", str(tmp_path / "out")]
    for number, name in enumerate(("a1", "b1", "e1")):
        stages = [(epoch + number) % 2 * 3 for epoch in range(40)]
        score(tmp_path / "labels", name, stages)  # type: ignore[arg-type]
    more = ["--labels", str(tmp_path / "labels"), "--modality", "ekg", "--resamples", "5"]
    assert probe.main([*folders, *more]) == 1
    out = capsys.readouterr().out
    assert "fitted on 72 epochs of 2 subjects (train), judged on 36 of 1 (test)" in out
    assert "left out: 11 nights" in out
    assert "the test data have no N1" in out
    assert "no interval: one subject cannot be resampled" in out
    more = ["--fractions", "0.5,0,0.5", "--subject", "(.)", "--resamples", "5"]
    assert probe.main([*folders, *more]) == 0
    assert "judged on 222 of 3 (test)" not in capsys.readouterr().out
    with pytest.raises(InputError, match=r"subject \w is in split"):
        probe.main([*folders, "--subject", r"(\d)"])


def test_flags_that_make_no_sense_are_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in").mkdir()
    folders = ["--embeddings", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    for flag in ("--few-shot=1,x", "--repeats=0", "--few-shot=0"):
        with pytest.raises(SystemExit):
            probe.main([*folders, flag])
        assert "whole number from 1 up" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"no \.hdf5 or \.h5 file is under"):
        probe.main(folders)
    with pytest.raises(SystemExit):
        probe.main(["--help"])
    assert f"(default: {STRENGTH})" in capsys.readouterr().out
