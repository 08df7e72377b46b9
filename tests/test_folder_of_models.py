"""Models of every kind on disk, alone and together: found by what they are for, never mixed up."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import nnx

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.outcomes import Encoding
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, RiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.kinds import KINDS, kind_of, network_of
from sleepfm_jax.models.sleep_stager import StagingConfig
from sleepfm_jax.models.weights import extract
from sleepfm_jax.saved_model import Outcomes, SavedModel, build, load, save, save_together
from tests.models.small_network import random_arrays
from tests.test_saved_model import assert_same

TOWER: dict[str, Any] = {"widths": (2, 3), "depths": (1,), "expansion": 2, "features": 4}
CONFIGS: dict[str, Any] = {
    "foundation": FoundationConfig(8, 2, 1, 2, 16, max_patches=6),
    "staging": StagingConfig(8, 2, 1, 2, 16, max_steps=6),
    "risk": RiskConfig(8, 1, 2, 16, max_steps=6, labels=2),
    "demographic_risk": DemographicRiskConfig(8, labels=2),
    "supervised_risk": SupervisedRiskConfig(8, 1, 2, 16, labels=2),
    "effnet": EffNetConfig(2, 1, 1, embed_dim=3, **TOWER),
    "supervised_effnet": SupervisedEffNetConfig(2, 3, **TOWER),
}
OUTCOMES = Outcomes(
    (("185", "Cancer of prostate"), ("411.1", "Ångström")), Encoding(100.0, 1.0, 0.0)
)


def some(kind: str, seed: int = 0) -> SavedModel:
    config = CONFIGS[kind]
    arrays = random_arrays(lambda: network_of(config, rngs=nnx.Rngs(0)), seed)
    arrays = {
        name: a.astype("float32") if a.dtype == "float64" else a for name, a in arrays.items()
    }
    outcomes = OUTCOMES if kind.endswith("risk") else None
    return SavedModel(config, arrays, {"seed": seed}, outcomes)


def fault(path: Path, role: str | None) -> str:
    with pytest.raises(InputError) as caught:
        load(path, role)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "; " in sentence
    return sentence


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_saved_loaded_and_built(kind: str, tmp_path: Path) -> None:
    model = some(kind)
    assert kind_of(model.config) == kind
    beside = {"baseline.times": np.arange(3.0), "temperature": np.float32(1.5).reshape(())}
    model = dataclasses.replace(model, weights=model.weights | beside)
    save(tmp_path / "MODEL", model)
    loaded = load(tmp_path / "MODEL")
    assert_same(loaded, model)
    assert loaded.outcomes == model.outcomes
    network = build(loaded)
    for name, array in extract(network).items():
        np.testing.assert_array_equal(array, model.weights[name])
    dropouts = [m for _, m in nnx.iter_modules(network) if isinstance(m, nnx.Dropout)]
    assert dropouts
    assert all(dropout.deterministic for dropout in dropouts)


def test_outcomes_are_part_of_what_a_model_is(tmp_path: Path) -> None:
    model = some("risk")
    turned = dataclasses.replace(OUTCOMES, labels=OUTCOMES.labels[::-1])
    assert dataclasses.replace(model, outcomes=turned).content_hash != model.content_hash
    save(tmp_path / "MODEL", model)
    file = tmp_path / "MODEL" / "config.json"
    written = json.loads(file.read_text())
    written["outcomes"]["encoding"]["female"] = 7.0
    file.write_text(json.dumps(written))
    assert "has been changed" in fault(tmp_path / "MODEL", None)
    for damage in ({"labels": [["185"]]}, {"labels": 3}, {}, {"labels": [], "encoding": {"x": 1}}):
        file.write_text(json.dumps(written | {"outcomes": damage}))
        assert "its outcomes cannot be read" in fault(tmp_path / "MODEL", None)


@pytest.mark.parametrize("within", ["", "model"])
def test_models_are_found_by_what_they_are_for(within: str, tmp_path: Path) -> None:
    models = {"base": some("foundation"), "diagnosis": some("demographic_risk")}
    save_together(tmp_path / within, models)
    for role, model in models.items():
        assert_same(load(tmp_path, role), model)
        assert_same(load(tmp_path / within / role, role), model)
        assert_same(load(tmp_path / within / role), model)
    assert "has no staging model, only base and diagnosis; " in fault(tmp_path, "staging")
    assert "is a folder of models (base, diagnosis); give" in fault(tmp_path, None)
    wrong = fault(tmp_path / within / "base", "diagnosis")
    assert "is a model of kind foundation, not the diagnosis model that is needed; " in wrong


def test_a_folder_of_one_model_is_that_model(tmp_path: Path) -> None:
    save_together(tmp_path / "model", {"staging": some("staging")})
    assert_same(load(tmp_path), some("staging"))
    assert_same(load(tmp_path, "staging"), some("staging"))


def test_what_a_model_is_for_is_told_without_loading_it(tmp_path: Path) -> None:
    both = ("base", "towers")
    save_together(tmp_path / "both", {"base": some("foundation"), "towers": some("effnet")})
    save(tmp_path / "one", some("effnet"))
    save(tmp_path / "stager", some("staging"))
    for weights in tmp_path.rglob("weights"):
        weights.rename(weights.with_name("elsewhere"))
    assert saved_model.role_of(tmp_path / "both", both) == "base"
    assert saved_model.role_of(tmp_path / "both", both[::-1]) == "towers"
    assert saved_model.role_of(tmp_path / "one", both) == "towers"
    with pytest.raises(InputError, match="is a model of kind staging, no base or towers; give"):
        saved_model.role_of(tmp_path / "stager", both)
    with pytest.raises(InputError, match="no model is here"):
        saved_model.role_of(tmp_path / "none", both)


def test_unknown_kinds_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "MODEL", some("staging"))
    file = tmp_path / "MODEL" / "config.json"
    for kind in ("Effnet", None, ["staging"]):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"kind": kind}))
        assert f"of kind {kind!r}, this version knows foundation" in fault(tmp_path / "MODEL", None)


def test_impossible_sizes_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "MODEL", some("effnet"))
    file = tmp_path / "MODEL" / "config.json"
    description = json.loads(file.read_text())
    for sizes in ({"widths": [2]}, {"depths": None}, {"expansion": "6"}, {"features": 0}):
        file.write_text(json.dumps(description | {"config": description["config"] | sizes}))
        assert "config.json: has impossible model settings (" in fault(tmp_path / "MODEL", None)


def test_models_together_replace_models_together_and_keep_their_lists(tmp_path: Path) -> None:
    home = tmp_path / "MODELS"
    save_together(home, {"base": some("foundation"), "staging": some("staging")})
    (home / "label_mapping.csv").write_text("label_idx,phecode,phenotype\n")
    save_together(home, {"base": some("foundation", 1)})
    assert sorted(entry.name for entry in home.iterdir()) == ["base", "label_mapping.csv"]
    assert_same(load(home, "base"), some("foundation", 1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["MODELS"]


@pytest.mark.parametrize("other", ["notes.txt", "base/notes.txt", "staging/notes.txt"])
def test_nothing_but_models_is_replaced(other: str, tmp_path: Path) -> None:
    home = tmp_path / "MODELS"
    save_together(home, {"base": some("foundation")})
    (home / other).parent.mkdir(exist_ok=True)
    (home / other).write_text("mine")
    for write in (lambda: save_together(home, {}), lambda: save(home, some("staging"))):
        with pytest.raises(InputError, match=r"stands there already .* nothing was changed"):
            write()
    assert (home / other).read_text() == "mine"
    assert_same(load(home / "base"), some("foundation"))


def test_a_failing_write_leaves_the_previous_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two models does not fit on the disk."""
    home = tmp_path / "MODELS"
    save_together(home, {"base": some("foundation"), "staging": some("staging")})
    write = saved_model._write

    def full(folder: Path, model: SavedModel) -> None:
        if folder.name == "staging":
            raise OSError(28, os.strerror(28))
        write(folder, model)

    monkeypatch.setattr(saved_model, "_write", full)
    with pytest.raises(InputError, match=r"No space left on device.*; free some space"):
        save_together(home, {"base": some("foundation", 1), "staging": some("staging", 1)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["MODELS"]
    for role, kind in (("base", "foundation"), ("staging", "staging")):
        assert_same(load(home, role), some(kind))


def test_the_place_tells_the_kind() -> None:
    kinds = [kind for fitting in saved_model.ROLES.values() for kind in fitting]
    assert sorted(kinds) == sorted(KINDS)
    with pytest.raises(AssertionError):
        save_together("MODELS", {"base": some("staging")})
