"""Heads learn from labelled nights, leave models that can be used, and go on where they stopped."""

import dataclasses
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, RiskConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.weights import shapes
from sleepfm_jax.saved_model import SavedModel, network_of
from sleepfm_jax.train import finetuning, head_settings, loop, state
from sleepfm_jax.train.checkpoints import Checkpoints
from sleepfm_jax.train.configuration import read
from sleepfm_jax.train.head_settings import Diagnosis, Staging
from sleepfm_jax.train.validation import Validation
from tests.input_pipeline import small_nights
from tests.models.small_network import blank, random_arrays
from tests.train import quick_network, small_labelled
from tests.train.kept_programs import kept_programs, shared_folder
from tests.train.small_labelled import PHECODES, E
from tests.train.small_task import hashes, numbers


@pytest.fixture(scope="module", autouse=True)
def _programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with kept_programs(shared_folder(tmp_path_factory.getbasetemp())):
        yield


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_labelled.write(tmp_path_factory.mktemp("labelled"))


def staging(nights: Path, **changed: Any) -> Staging:
    return read(Staging, small_labelled.staging_config(nights, **changed))


def diagnosis(nights: Path, **changed: Any) -> Diagnosis:
    return read(Diagnosis, small_labelled.diagnosis_config(nights, **changed))


def write_base(folder: Path) -> Path:
    """A foundation model as wide as the embeddings; its numbers do not matter."""
    config = FoundationConfig(
        embed_dim=E, num_heads=2, num_layers=1, pooling_heads=2, feed_forward=32, max_patches=60
    )
    weights = random_arrays(lambda: blank(config=config))
    saved_model.save(folder, SavedModel(config, weights))
    return folder


def test_a_stager_learns_and_stands_beside_its_foundation_model(
    nights: Path, tmp_path: Path
) -> None:
    base = write_base(tmp_path / "base")
    changed = {
        "backbone": str(base),
        "epochs": 15,  # of 2 steps
        "optimizer.learning_rate": 5e-3,
        "loop.stop_after": 0,
        "loop.validate_every": 10,
        "loop.checkpoint_every": 10,
    }
    settings, tmp_path = staging(nights, **changed), tmp_path / "run"
    assert finetuning.finetune(settings, tmp_path) is None
    last = numbers(tmp_path)[-1]
    assert last["validation/macro_f1/30s"] > 0.8
    assert last["validation/accuracy/5s"] > 0.8
    head = saved_model.load(tmp_path, "staging")
    assert head.config == settings.model
    kept = saved_model.load(tmp_path, "base")
    assert kept.content_hash == saved_model.load(base).content_hash
    assert head.provenance["backbone_sha256"] == kept.content_hash


def test_a_model_of_risk_knows_what_its_hazards_are_of(nights: Path, tmp_path: Path) -> None:
    """Stopped and gone on, with risk sets of the whole cohort, it is bit for bit the same."""
    settings = diagnosis(nights, risk_sets="cohort", **{"encoding.age_divisor": 100.0})
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert finetuning.finetune(settings, whole) is None
    steps = numbers(whole)[-1]["step"]
    assert {"train/events", "validation/concordance", "validation/labels"} <= {
        name for line in numbers(whole) for name in line
    }
    plan = finetuning.prepare(settings)
    assert loop.run(dataclasses.replace(plan, batches=_stopping(plan.batches, 3)), stopped)
    assert finetuning.finetune(settings, stopped) is None
    assert hashes(stopped, steps) == hashes(whole, steps)
    assert numbers(stopped) == numbers(whole)
    head = saved_model.load(whole, "diagnosis")
    assert head.config == dataclasses.replace(settings.model, labels=len(PHECODES))
    assert head.outcomes is not None
    assert [phecode for phecode, _ in head.outcomes.labels] == list(PHECODES)
    assert head.outcomes.encoding.age_divisor == 100.0
    assert not any("cohort" in name for name in head.weights)
    months, hazard = head.weights["baseline.times"], head.weights["baseline.cumulative"]
    assert hazard.shape == (len(months), len(PHECODES))
    assert (np.diff(hazard, axis=0) >= 0).all()
    assert (hazard[-1] > 0).all()


def test_what_the_night_adds_to_age_and_sex_becomes_a_plain_model(
    nights: Path, tmp_path: Path
) -> None:
    settings = diagnosis(nights, risk_sets="cohort", residual=True, epochs=3)
    assert finetuning.finetune(settings, tmp_path) is None
    head = saved_model.load(tmp_path, "diagnosis")
    wanted = shapes(lambda: network_of(head.config, rngs=nnx.Rngs(0)))
    told = {n: a.shape for n, a in head.weights.items() if not n.startswith("baseline.")}
    assert told == wanted, "what is no part of the plain model cannot be exported"
    plan = finetuning.prepare(settings)
    parts = plan.start_from()
    offset = parts["network.offset"].weights
    kernel = head.weights["risk.out.kernel"]
    np.testing.assert_array_equal(kernel[E:], offset["out.kernel"])  # fitted first, then fixed
    assert np.abs(kernel[:E]).max() > 0
    abstract = state.abstract_state(plan.task.build, plan.optimizer, plan.mesh)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        restored = checkpoints.restore(abstract)
    assert restored is not None
    seen = restored.state.extra["network"]["norm"]
    assert seen["count"] == restored.step
    assert float(seen["var"].max()) < 0.5, "nothing was standardised"
    best = head.provenance["step"] == restored.step
    assert best, "the last step is the best here, so that state and model can be compared"
    assert plan.held_out is not None
    graph = state.graphs(plan.task.build).evaluate
    residual, batch = Validation(graph, plan.task, abstract, plan.mesh, plan.held_out).outputs(
        restored.state
    )
    network = saved_model.build(head)
    run = jax.jit(lambda *inputs: network(*inputs))
    (rows,) = plan.held_out
    plain = run(rows["embeddings"], rows["present"], rows["steps"], rows["demographics"])
    np.testing.assert_allclose(plain, residual, rtol=0, atol=1e-4 * np.abs(residual).max())
    plan.batches.close()


def _stopping(batches: Any, after: int) -> Any:
    """The batches, with SIGTERM before one of them is given."""

    class Stopping:
        taken = 0

        def __next__(self) -> dict[str, np.ndarray]:
            if self.taken == after:
                signal.raise_signal(signal.SIGTERM)
            self.taken += 1
            return next(batches)

        def __getattr__(self, name: str) -> Any:
            return getattr(batches, name)

    return Stopping()


def test_end_to_end_the_foundation_model_learns_too(
    nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch statistics stay; both models come out together."""
    quick_network.use(monkeypatch)
    base = write_base(tmp_path / "base")
    for number in range(8):
        small_nights.night(tmp_path / "recordings" / f"night{number:02}.hdf5", number, patches=60)
    changed = {
        "learn_from": "recordings",
        "backbone": str(base),
        "data.recordings": str(tmp_path / "recordings"),
        "data.validation": "",
        "batches.slots": 4,
        "batches.crop": 60,
        "steps": 1,
        "optimizer.schedule": "constant",
    }
    assert finetuning.finetune(staging(nights, **changed), tmp_path / "run") is None
    before, after = saved_model.load(base), saved_model.load(tmp_path / "run", "base")
    moved = {
        name
        for name, array in after.weights.items()
        if not np.array_equal(array, before.weights[name].astype(array.dtype))
    }
    assert {"tokenizer.out.kernel", "layers.0.up.kernel"} <= moved
    assert any(name.startswith("tokenizer.") and name.endswith(".mean") for name in after.weights)
    assert not any(name.endswith((".mean", ".var", ".count", "positions")) for name in moved)
    assert saved_model.load(tmp_path / "run", "staging").config.embed_dim == E


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"learn_from": "demographics"}, DemographicRiskConfig),
        ({"model.demographics": 0}, RiskConfig),
        ({"chunks": 1, "optimizer.schedule": "cosine", "data.validation": ""}, RiskConfig),
    ],
)
def test_other_models_of_risk_are_made_from_the_same_tables(
    nights: Path, changed: dict[str, Any], kind: type
) -> None:
    plan = finetuning.prepare(diagnosis(nights, **changed))
    assert type(plan.task.model) is kind
    assert plan.task.model.labels == len(PHECODES)
    batch = next(plan.batches)
    assert ("demographics" in batch) == bool(plan.task.model.demographics)
    assert batch["time"].shape == (8, len(PHECODES))
    if plan.held_out is not None:
        assert all("subject" not in batch for batch in plan.held_out)
    plan.batches.close()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"data.embeddings": ""}, "no embeddings: give --config.data.embeddings=DIR"),
        ({"data.labels": ""}, "no labels: give --config.data.labels=DIR"),
        ({"model.embed_dim": 32}, "set --config.model.embed_dim=16"),
        ({"model.pooling_heads": 3}, "embed_dim is 16, no multiple of 3"),
        ({"model.dropout": 1.0}, "--config.model.dropout is 1.0"),
        ({"learn_from": "dreams"}, "choose from embeddings, recordings"),
        ({"learn_from": "recordings"}, "--config.backbone=MODEL"),
        ({"batches.batch_size": 12}, "a batch of 12 does not divide into 8 parts"),
        ({"batches.batch_size": 24}, "a batch of 24 needs as many nights"),
        ({"chunks": 3}, "--config.chunks is 3"),
        ({"weights": (1.0, 2.0)}, "give one of 0 or more for each stage"),
        ({"epochs": 0}, "--config.epochs is 0"),
    ],
)
def test_what_cannot_be_trained_is_told_before(
    nights: Path, changed: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InputError, match=fault):
        finetuning.prepare(staging(nights, **changed))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"residual": True, "model.demographics": 0}, "is for nights beside age and sex"),
        ({"residual": True, "init": "MODEL"}, "leave out init"),
        ({"night_decay": -1.0}, "--config.night_decay is -1.0"),
        ({"ties": "none"}, "choose from breslow, efron, published"),
        ({"risk_sets": "all"}, "choose from batch, cohort"),
        ({"model.labels": 7}, "the tables have 3: leave it at 0"),
        ({"model.demographics": 4}, "give 2 .age and sex. or 0"),
        ({"encoding.age_divisor": 0.0}, "the divisor above 0"),
    ],
)
def test_what_makes_no_model_of_risk_is_told_before(
    nights: Path, changed: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InputError, match=fault):
        finetuning.prepare(diagnosis(nights, **changed))


def test_settings_beside_a_task_have_known_inputs() -> None:
    assert head_settings.SIGNALS not in Staging().known_inputs()
    assert Diagnosis(learn_from=head_settings.SIGNALS).learn_from == "signals"


def test_embeddings_of_another_model_than_the_backbone_are_refused(
    nights: Path, tmp_path: Path
) -> None:
    base = write_base(tmp_path / "base")
    for path in sorted((nights / "embeddings" / "sequence").iterdir()):
        copy = tmp_path / "embeddings" / "sequence" / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        with h5py.File(copy, "a") as file:
            file.attrs["model_sha256"] = "0" * 64
    changed = {"data.embeddings": str(tmp_path / "embeddings"), "backbone": str(base)}
    with pytest.raises(InputError, match=r"by another model than --config\.backbone"):
        finetuning.prepare(staging(nights, **changed))
