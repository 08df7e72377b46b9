"""`sleepfm-jax clip` as a user meets it."""

from pathlib import Path

import pytest

from sleepfm_jax.commands import clip
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clips
from tests.input_pipeline import small_clips


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return small_clips.cohort(tmp_path / "cohort")


def test_flags_reach_the_store(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    (cohort / "text.hdf5").write_text("no HDF5")
    flags = ["--fractions", "0,0,0,1", "--subject", "^([^-]+)", "--scale", "none"]
    rule = ["--flat-limit", "0.25", "--least-modalities", "1", "--place", "ECG=none"]
    arguments = [*flags, *rule, "--output", str(store), str(cohort)]
    assert clip.main(arguments) == 1
    said = capsys.readouterr().out
    assert "4 done, 0 skipped, 1 failed" in said
    assert f"failed  {cohort / 'text.hdf5'} is not a readable HDF5 file" in said
    source = clips.open_store(store, "test")
    assert source.subjects == ("p0", "p0", "p1", "p1")
    made_with = source.index.made_with
    assert made_with["rule"] == {"flat_limit": 0.25, "least_modalities": 1}
    assert (made_with["scale"], made_with["places"]) == ("none", {"ECG": None})
    assert source.index.nights[0].labels == ("Thor", "", "", "C3-A2", "", "", "", "", "")
    with pytest.raises(InputError, match="with --overwrite"):
        clip.main(arguments)


def test_the_default_is_four_splits_and_labels_may_lie_elsewhere(
    cohort: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "p1-b.csv").write_text(small_clips.table("R"))
    flags = ["--labels", str(tmp_path / "labels"), "--output", str(tmp_path / "store")]
    assert clip.main([*flags, str(cohort / "p1-b.hdf5")]) == 0
    source = clips.open_store(tmp_path / "store", "train")
    assert source.index.made_with["fractions"] == [0.6, 0.2, 0.1, 0.1]
    assert source.stages.tolist() == [4]


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--fractions", "0.8,0.2"], "give one from 0 to 1 for each of"),
        (["--fractions", "a,b,c"], "give three numbers or four"),
        (["--flat-limit", "2"], "flat limit of 2"),
        (["--least-modalities", "4"], "4 modalities cannot be the least: give 1 to 3"),
        (["--place", "C3"], "write LABEL=PLACE"),
        (["--labels", "absent"], "absent is no folder"),
    ],
)
def test_wrong_flags_are_one_sentence(
    cohort: Path, tmp_path: Path, flags: list[str], fault: str
) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        clip.main(["--output", str(tmp_path / "store"), str(cohort), *flags])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()
