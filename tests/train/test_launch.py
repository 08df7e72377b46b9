"""From settings to a plan; a real network in the loop, stopped and gone on with bit for bit."""

import contextlib
import dataclasses
import functools
import json
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embeddings
from sleepfm_jax.jobs.embed import embed
from sleepfm_jax.train import launch
from sleepfm_jax.train.mesh import make_mesh
from sleepfm_jax.train.occupancy import occupied
from tests.train import small_store
from tests.train.kept_programs import kept_programs, shared_folder
from tests.train.small_store import run_settings
from tests.train.small_task import hashes, numbers, provenance

EVERYTHING = {
    "steps": 6,
    "batches__modality_dropout": 0.2,
    "loop__log_every": 2,
    "loop__validate_every": 4,
}


@pytest.fixture(scope="module", autouse=True)
def _programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with kept_programs(shared_folder(tmp_path_factory.getbasetemp())):
        yield


@pytest.fixture(autouse=True)
def _one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        launch, "make_mesh", functools.partial(make_mesh, devices=jax.devices()[:1])
    )


@contextlib.contextmanager
def sigterm_in_step(number: int) -> Iterator[None]:
    """Stops the next run after this step, when its batch has been asked for."""
    prepare = launch.prepare

    def stopping(settings: Any) -> Any:
        plan = prepare(settings)
        give = type(plan.batches).__next__

        class Stopping(type(plan.batches)):  # type: ignore[misc]
            def __next__(self) -> Any:
                if self.get_state()["next_batch"] == number - 1:
                    signal.raise_signal(signal.SIGTERM)
                return give(self)

        plan.batches.__class__ = Stopping  # type: ignore[assignment]
        return plan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "prepare", stopping)
        yield


def test_a_network_goes_on_bit_for_bit_with_everything_switched_on(tmp_path: Path) -> None:
    """Dropout and augmentation; stopped between the steps of log and checkpoint."""
    settings = run_settings(**EVERYTHING)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert launch.pretrain(settings, whole) is None
    with sigterm_in_step(5):
        assert launch.pretrain(settings, parts) == signal.SIGTERM
    assert (parts / "checkpoints" / "5").is_dir()
    assert launch.pretrain(settings, parts) is None
    assert hashes(parts, 6) == hashes(whole, 6)
    assert numbers(parts) == numbers(whole)
    assert [line["step"] for line in numbers(whole)] == [2, 4, 4, 6, 6]
    model = saved_model.load(parts)
    assert model.content_hash == saved_model.load(whole).content_hash
    assert provenance(whole)["pretraining"]["batches"]["modality_dropout"] == 0.2
    assert_embeds(whole)
    assert json.loads((whole / "settings.json").read_text()) == dataclasses.asdict(settings)


def assert_embeds(workdir: Path) -> None:
    """The work directory is a model to embed with, and that model is its network."""
    night = small_store.path().parent / "nights" / "validation-1.hdf5"
    assert embed([night], workdir, workdir / "embeddings").done == 1
    found = embeddings.read(workdir / "embeddings", night.stem).pooled
    shapes = {name: rows.shape for name, rows in found.items()}
    assert shapes == dict.fromkeys(("BAS", "RESP", "EKG", "EMG"), (2, 16))
    assert all(np.isfinite(rows).all() for rows in found.values())


@pytest.fixture
def unrun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been run."""
    plans: list[Any] = []
    monkeypatch.setattr(launch.loop, "run", lambda plan, _: plans.append(plan))
    return plans


def test_steps_follow_from_epochs_unless_they_are_given() -> None:
    assert launch.prepare(run_settings(steps=0, epochs=4)).steps == 4 * 3  # 12 windows by 4
    assert launch.prepare(run_settings(steps=5, epochs=4)).steps == 5


def test_one_seed_decides_of_weights_and_batches() -> None:
    first, again, other = (
        next(launch.prepare(run_settings(seed=seed)).batches) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first["signals"], again["signals"])
    assert not np.array_equal(first["signals"], other["signals"])


def test_without_a_validation_split_nothing_is_held_out() -> None:
    assert launch.prepare(run_settings(data__validation="")).held_out is None
    held_out = launch.prepare(run_settings()).held_out
    assert held_out is not None
    assert sum((batch["night"] >= 0).sum() for batch in held_out) == 6


def test_recordings_are_a_source_as_they_are(tmp_path: Path) -> None:
    """The same nights and windows as packed, split as a published file says."""
    nights = small_store.path().parent / "nights"
    splits = tmp_path / "splits.json"
    names = sorted(path.name for path in nights.iterdir())
    by_split = {s: [f"/x/{n}" for n in names if n.startswith(s)] for s in small_store.SPLITS}
    splits.write_text(json.dumps(by_split))
    plain = launch.prepare(run_settings(data__path=str(nights), data__splits=str(splits)))
    packed = launch.prepare(run_settings())
    one, other = next(plain.batches), next(packed.batches)
    for name in ("signals", "modality", "patches"):
        np.testing.assert_array_equal(one[name], other[name])


def test_a_changed_setting_is_said_when_a_run_goes_on(
    tmp_path: Path, unrun: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    launch.pretrain(run_settings(), tmp_path)
    assert "is now" not in caplog.text
    with caplog.at_level(logging.WARNING):
        launch.pretrain(run_settings(optimizer__learning_rate=0.5), tmp_path)
    (said,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert said == "config.optimizer.learning_rate is now 0.5, was 0.003"
    caplog.clear()
    launch.pretrain(run_settings(optimizer__learning_rate=0.5), tmp_path)
    assert "is now" not in caplog.text
    assert len(unrun) == 3


def test_a_run_starts_from_a_model_or_a_runs_work_directory(
    tmp_path: Path, unrun: list[Any]
) -> None:
    model = saved_model.SavedModel(run_settings().model, {"x": np.arange(3.0)})
    for folder in (tmp_path / "model", tmp_path / "run" / "model"):
        saved_model.save(folder, model)
    (tmp_path / "run" / "checkpoints").mkdir()
    for init in ("model", "run"):
        launch.pretrain(run_settings(init=str(tmp_path / init)), tmp_path / "new")
        (given,) = unrun[-1].start_from().values()
        assert given.content_hash == model.content_hash
    with pytest.raises(InputError, match="no model is here"):
        launch.prepare(run_settings(init=str(tmp_path / "nothing")))


def test_two_runs_in_one_work_directory_are_refused(tmp_path: Path, unrun: list[Any]) -> None:
    with occupied(tmp_path), pytest.raises(InputError, match="is being used by another run"):
        launch.pretrain(run_settings(), tmp_path)
    assert not unrun
    assert not (tmp_path / "settings.json").exists()


def test_settings_that_were_damaged_are_named(tmp_path: Path, unrun: list[Any]) -> None:
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(InputError, match=r"settings.json is damaged \(.*\): remove it"):
        launch.pretrain(run_settings(), tmp_path)
    (tmp_path / "settings.json").write_text("[]")
    with pytest.raises(InputError, match=r"settings.json is damaged \(.*\): remove it"):
        launch.pretrain(run_settings(), tmp_path)
    assert not unrun


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"data__path": ""}, "no data: give --config.data.path=STORE"),
        ({"data__train": "training"}, r"has no split 'training', only .*: name one of these"),
        ({"data__validation": "dev"}, r"has no split 'dev'"),
        ({"batches__batch_size": 16}, "a batch of 16 needs as many windows, but there are 12"),
        ({"mesh__data": 3}, "does not fit 1 devices"),
    ],
)
def test_data_that_cannot_be_used_are_one_sentence(changed: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        launch.prepare(run_settings(**changed))
    assert "\n" not in str(caught.value)


def test_the_batch_divides_by_devices_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "make_mesh", make_mesh)
    with pytest.raises(InputError, match="a batch of 4 does not divide into 8 parts"):
        launch.prepare(run_settings())
    with pytest.raises(InputError, match="a batch of 8 does not divide into 16 parts"):
        launch.prepare(run_settings(batches__batch_size=8, chunks=2))
