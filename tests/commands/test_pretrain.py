"""`sleepfm-jax pretrain` as a user meets it."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from sleepfm_jax.main import main
from sleepfm_jax.train import launch
from tests.train import small_store

CONFIG = "--config=sleepfm_jax/configs/pretrain.py:tiny"
ROOT = Path(__file__).parents[2]


def arguments(workdir: Path, *flags: str) -> list[str]:
    given = f"--config.data.path={small_store.path()}", "--config.batches.batch_size=8"
    return ["pretrain", CONFIG, f"--workdir={workdir}", *given, *flags]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The plans that would have been run; `outcome` of the run is None."""
    plans: list[Any] = []
    monkeypatch.setattr(launch.loop, "run", lambda plan, _: plans.append(plan))
    return plans


def fault(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the command refuses, with status 2."""
    try:
        status = main(words)
    except SystemExit as exit_:
        status = exit_.code  # type: ignore[assignment]
    assert status == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    return said[0].removeprefix("sleepfm-jax pretrain: ")


def test_flags_reach_the_run(
    tmp_path: Path, ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--config.steps=7", "--config.model.num_layers=3", "--config.data.validation="]
    assert main(arguments(tmp_path, *flags)) == 0
    (plan,) = ran
    assert (plan.steps, plan.task.model.num_layers, plan.held_out) == (7, 3, None)
    assert plan.mesh.size == 8
    said = capsys.readouterr().out
    assert said == f"{tmp_path}: done; the model is {tmp_path / 'model'}\n"


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_stopped_run_says_how_to_go_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: signal.Signals,
    status: int,
) -> None:
    monkeypatch.setattr(launch.loop, "run", lambda *_: how)
    assert main(arguments(tmp_path)) == status
    said = capsys.readouterr().out
    assert said == f"{tmp_path}: saved after {how.name}; run the same command again to go on\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--config.data.path="], "no data: give --config.data.path=STORE"),
        (["--config.data.path=nowhere"], "nowhere"),
        (["--config.data.train=training"], "has no split 'training'"),
        (["--config.batches.batch_size=12"], "a batch of 12 does not divide into 8 parts"),
        (["--config.batches.batch_size=16"], "needs as many windows, but there are 12"),
        (["--config.mesh.tensor=3"], "does not fit 8 devices"),
        (["--config.epochs=many"], "many"),
        (["--config.model.embed=3"], "embed"),
        (["--config.loss=triplet"], "--config.loss is 'triplet'"),
        (["--config.model.num_heads=3"], "--config.model.num_heads is 3, which does not divide"),
        (["--config.init=nowhere"], "nowhere: no model is here"),
        (["--steps=3"], "steps"),
        (["store"], "give --config=FILE.py:VARIANT and --workdir=DIR"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    tmp_path: Path,
    ran: list[Any],
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    assert said in fault(arguments(tmp_path / "new", *flags), capsys)
    assert not ran
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("sleepfm_jax/configs/pretrain.py:huge", "no variant 'huge': choose from base"),
        ("nowhere.py", "nowhere.py"),
        ("nowhere.py:base", "nowhere.py"),
        ("def get_config(:", "broken.py"),
        ("def get_config(variant=''): return 1 / 0", "division by zero"),
        ("def get_config(variant=''): assert False", "fails with AssertionError"),
    ],
)
def test_a_configuration_that_cannot_be_read(
    tmp_path: Path, ran: list[Any], capsys: pytest.CaptureFixture[str], config: str, said: str
) -> None:
    if config.startswith("def"):
        (tmp_path / "broken.py").write_text(f"{config}\n")
        config = str(tmp_path / "broken.py")
    words = [f"--config={config}", *arguments(tmp_path / "new")[2:]]
    assert said in fault(["pretrain", *words], capsys)
    assert not ran


def test_a_work_directory_that_cannot_be_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    said = fault(arguments(tmp_path / "file" / "run"), capsys)
    assert said.startswith(f"{tmp_path / 'file' / 'run'} cannot be written to (Not a directory)")


def test_a_truncated_shard_is_named(
    tmp_path: Path, ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    store = shutil.copytree(small_store.path(), tmp_path / "store")
    (shard,) = store.glob("*train.array_record*")
    shard.write_bytes(shard.read_bytes()[:-1])
    said = fault(arguments(tmp_path / "new", f"--config.data.path={store}"), capsys)
    assert said.startswith(f"{shard} is cut short")
    assert not ran


def test_the_variants_are_found_from_any_folder(
    tmp_path: Path, ran: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments(tmp_path / "run")) == 0
    assert ran


def test_help_names_what_a_run_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["pretrain", "--help"])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("--workdir", "metrics.jsonl", "settings.json", ":large"))
