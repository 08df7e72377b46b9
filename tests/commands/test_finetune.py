"""`sleepfm-jax finetune` as a user meets it."""

from pathlib import Path
from typing import Any

import pytest

from sleepfm_jax.main import main
from sleepfm_jax.train import clip_settings, clip_training, launch
from sleepfm_jax.train.diagnosis import Diagnosis
from sleepfm_jax.train.staging import Staging
from tests.train import small_labelled


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_labelled.write(tmp_path_factory.mktemp("labelled"))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The plans that would have been run; `outcome` of the run is None."""
    plans: list[Any] = []
    monkeypatch.setattr(launch.loop, "run", lambda plan, _: plans.append(plan))
    return plans


def words(nights: Path, workdir: Path, config: str, labels: str, *flags: str) -> list[str]:
    return [
        "finetune",
        f"--config=sleepfm_jax/configs/{config}",
        f"--workdir={workdir}",
        f"--config.data.embeddings={nights / 'embeddings'}",
        f"--config.data.labels={nights / labels}",
        f"--config.data.splits={nights / 'splits.json'}",
        "--config.model.embed_dim=16",
        "--config.batches.batch_size=8",
        *flags,
    ]


def fault(given: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the command refuses, with status 2."""
    try:
        status = main(given)
    except SystemExit as exit_:
        status = exit_.code  # type: ignore[assignment]
    assert status == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    return said[0].removeprefix("sleepfm-jax finetune: ")


def test_a_configuration_says_what_is_trained(
    nights: Path, tmp_path: Path, ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    staging = words(nights, tmp_path / "s", "staging.py:tiny", "stages", "--config.epochs=3")
    assert main([*staging, "--config.weights=(1.0, 1.0, 1.0, 1.0, 1.0)"]) == 0
    assert capsys.readouterr().out.endswith(f"the model is {tmp_path / 's' / 'model'}\n")
    assert main(words(nights, tmp_path / "d", "diagnosis.py:cohort", "tables")) == 0
    stages, risks = ran
    assert isinstance(stages.task, Staging)
    assert stages.task.weights == (1,) * 5
    assert stages.steps == 3 * 2  # 16 nights in batches of 8
    assert stages.loop.validate_every == 2
    assert isinstance(risks.task, Diagnosis)
    assert risks.task.residual
    assert risks.task.cohort is not None
    assert len(risks.task.cohort.subjects) == 16


def test_labels_that_are_not_there_are_named(
    nights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(nights, tmp_path, "diagnosis.py:base", "stages")
    assert f"{nights / 'stages' / 'is_event.csv'}" in fault(given, capsys)


def test_wrong_use_is_told_in_a_line(
    nights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = words(nights, tmp_path, "staging.py:tiny", "stages")
    assert "the configuration has no value epoch (" in fault([*good, "--config.epoch=3"], capsys)
    assert "dreams.py cannot be read" in fault(["finetune", "--config=dreams.py"], capsys)
    pretraining = "--config=sleepfm_jax/configs/pretrain.py:tiny"
    assert "task is None: choose from staging, diagnosis" in fault(
        ["finetune", pretraining, f"--workdir={tmp_path}"], capsys
    )
    assert "--config.ties" in fault(
        [*words(nights, tmp_path, "diagnosis.py:base", "tables"), "--config.ties=odd"], capsys
    )


def test_the_supervised_baseline_learns_from_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[clip_settings.StageTower, Path]] = []
    monkeypatch.setattr(clip_training, "train", lambda *given: seen.append(given))
    config = "--config=sleepfm_jax/configs/icml2024.py:supervised"
    changed = ["--config.data.path=store", "--config.modality=ekg", "--config.model.channels=1"]
    assert main(["finetune", config, f"--workdir={tmp_path}", *changed]) == 0
    ((settings, workdir),) = seen
    assert (settings.modality, settings.data.train, workdir) == ("ekg", "train", tmp_path)
