"""`sleepfm-jax retrieve` as a user meets it."""

from pathlib import Path

import pytest

from sleepfm_jax.commands import retrieve
from sleepfm_jax.errors import InputError
from sleepfm_jax.jobs import pictures
from tests.jobs.embedded_cohort import cohort
from tests.jobs.test_evaluate_staging import rows_of


def test_every_direction_is_printed_with_chance_and_queries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ["--embeddings", str(cohort(tmp_path / "in")), "--output", str(tmp_path / "out")]
    more = ["--candidates", "20", "--resamples", "20"]
    assert retrieve.main([*folders, *more]) == 0
    first, header, *lines, last = capsys.readouterr().out.splitlines()
    assert first == ("among 20 candidates across nights: 240 rows of 30 s, 6 nights, 3 subjects")
    assert header.split()[:4] == ["query", "in", "key", "top-1"]
    assert len(lines) == 9
    assert lines[3].startswith("sleep_stages in ekg")
    assert lines[3].split()[-2:] == ["20", "200"]
    assert "retrieval.png" in last
    top1 = float(rows_of(tmp_path / "out" / "retrieval.csv")[3]["top1"])
    assert f" {top1:.3f} (" in lines[3]
    monkeypatch.setattr(pictures, "save", lambda draw, path: None)  # noqa: ARG005
    (tmp_path / "in" / "clips" / "e1.hdf5").write_text("no HDF5")
    assert retrieve.main([*folders, *more, "--among", "night"]) == 1
    assert "of its own night: 200 rows" in capsys.readouterr().out


def test_splits_are_those_stored_unless_others_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "save", lambda draw, path: None)  # noqa: ARG005
    folder = cohort(tmp_path / "in")
    folders = ["--embeddings", str(folder), "--output", str(tmp_path / "out")]
    with pytest.raises(InputError, match="in split 'validation'; there are test, train"):
        retrieve.main([*folders, "--split", "validation"])
    with pytest.raises(InputError, match="add up to"):
        retrieve.main([*folders, "--fractions", "0.5,0.2,0.2"])
    more = ["--fractions", "0,1,0", "--subject", "(.)", "--resamples", "5"]
    assert retrieve.main([*folders, *more, "--split", "validation"]) == 0
    assert rows_of(tmp_path / "out" / "retrieval.csv")[0]["queries"] == str(14 * 40)
    assert retrieve.main([*folders, "--split", "all", "--resamples", "5"]) == 0
    assert rows_of(tmp_path / "out" / "retrieval.csv")[0]["queries"] == str(14 * 40)
    with pytest.raises(SystemExit):
        retrieve.main([*folders, "--candidates", "0"])
