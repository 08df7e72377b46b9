"""`sleepfm-jax pack` as a user meets it."""

import json
from pathlib import Path

import pytest

from sleepfm_jax.commands import pack
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import windows
from tests.input_pipeline import small_nights


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return small_nights.cohort(tmp_path / "cohort")


def test_nights_are_packed_and_the_summary_says_so(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    (cohort / "text.hdf5").write_text("no HDF5")
    arguments = ["--output", str(store), str(cohort), "--fractions", "1,0,0"]
    assert pack.main(arguments) == 1
    said = capsys.readouterr().out
    assert "4 done, 0 skipped, 1 failed" in said
    assert f"failed  {cohort / 'text.hdf5'} is not a readable HDF5 file" in said
    assert str(store / "failures.csv") in said
    assert (store / "failures.csv").is_file()
    assert "ownload" not in said  # TFDS keeps quiet
    with pytest.raises(InputError, match="with --overwrite"):
        pack.main(arguments)
    assert pack.main([*arguments, "--overwrite"]) == 1


def test_flags_reach_the_store(cohort: Path, tmp_path: Path) -> None:
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"pretrain": [f"/x/p0-{n}.hdf5" for n in "ab"]}))
    rule = ["--flat-limit", "0.25", "--least-modalities", "1", "--least-patches", "16"]
    channels = ["--channel", "ECG=none", "--subject", "^([^-]+)"]
    flags = ["--splits", str(splits), *rule, *channels, "--output", str(tmp_path / "store")]
    assert pack.main([*flags, str(cohort)]) == 0
    source = windows.open_store(tmp_path / "store", "pretrain")
    assert source.nights == ("p0-a", "p0-b")
    assert len(source) == 2  # 75 patches: one window, and 15 that are too few
    assert source[0].labels == ("C3-M2", "Airflow")
    assert {night.subject for night in source.index.nights} == {"p0"}
    assert source.index.made_with["rule"] == {
        "flat_limit": 0.25,
        "least_modalities": 1,
        "least_patches": 16,
    }


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--fractions", "0.8"], "give one from 0 to 1"),
        (["--fractions", "a,b,c"], "give three numbers"),
        (["--flat-limit", "2"], "flat limit of 2"),
        (["--subject", "("], "is no regular expression"),
        (["--splits", "absent.json"], "absent.json cannot be read"),
    ],
)
def test_wrong_flags_are_one_sentence(
    cohort: Path, tmp_path: Path, flags: list[str], fault: str
) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        pack.main(["--output", str(tmp_path / "store"), str(cohort), *flags])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()
