"""`sleepfm-jax embed` as a user meets it."""

from pathlib import Path

import pytest

from sleepfm_jax import inference, saved_model
from sleepfm_jax.main import main
from tests.inference import small_towers
from tests.jobs import small_clip_nights, small_models
from tests.jobs.test_embed import make_model


def test_a_real_night_is_embedded_and_the_summary_says_so(
    psg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(tmp_path / "model")
    night = psg / "dreams_excerpt3" / "excerpt3.edf"
    arguments = ["embed", "--model", str(model), "--output", str(tmp_path / "out"), str(night)]
    assert main(arguments) == 0
    assert "1 done, 0 skipped, 0 failed" in capsys.readouterr().out
    assert (tmp_path / "out" / "pooled" / "excerpt3.hdf5").is_file()
    assert (tmp_path / "out" / "sequence" / "excerpt3.hdf5").is_file()
    assert main(arguments) == 0
    assert "0 done, 1 skipped, 0 failed" in capsys.readouterr().out


def test_no_model_is_one_sentence_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "night.edf").touch()
    arguments = ["--model", str(tmp_path / "none"), "--output", str(tmp_path / "out")]
    assert main(["embed", *arguments, str(tmp_path / "night.edf")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no model is here" in said
    assert "conversion import" in said


def test_wrong_flags_are_refused_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["embed", "--model", "m", "--output", str(tmp_path), "--workers", "0", "night.edf"])
    assert exit_.value.code == 2
    assert "whole number from 1 up" in capsys.readouterr().err


def test_towers_embed_clips_and_the_foundation_model_takes_no_store_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "load_towers", lambda *_: small_towers.towers())
    towers = small_towers.save(tmp_path / "towers")
    saved_model.save(tmp_path / "base", small_models.saved(small_models.BASE))
    night = small_clip_nights.write_night(tmp_path / "nights", "n", [0, 2])
    output = ["--output", str(tmp_path / "out")]
    assert main(["embed", "--model", str(towers), *output, str(night)]) == 0
    assert "1 done, 0 skipped, 0 failed" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["n.hdf5"]
    assert main(["embed", "--model", str(towers), *output, "--place", "ECG=none", str(night)]) == 0
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "clips.json").touch()
    for model, more, said in (
        ("towers", ["--channel", "ECG=none", str(night)], "say what a channel is with --place"),
        ("base", ["--place", "ECG=none", str(night)], "--place and --scale are for towers"),
        ("base", [str(tmp_path / "store")], "is a store of clips, which"),
    ):
        assert main(["embed", "--model", str(tmp_path / model), *output, *more]) == 2
        fault = capsys.readouterr().err
        assert said in fault
        assert fault.count("\n") == 1
