"""Heads to model folders and back: the very bits; misfits named; parity that finds an error."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import torch

from conversion import checkpoints, config_json, parity, samples
from conversion import published as classes
from conversion.__main__ import KINDS, main
from conversion.checkpoints import Checkpoint
from conversion.models import export_checkpoint, import_checkpoint, import_files, load_reference
from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.disease_risk import SupervisedRiskConfig
from sleepfm_jax.saved_model import Outcomes, SavedModel
from tests import golden
from tests.conversion import published
from tests.conversion.test_foundation import bits
from tests.parity import test_heads as golden_heads

LABELS = "label_idx,phecode,phenotype\n1,250.2,Diabetes\n0,008,Infection\n"


def model(kind: str) -> SavedModel:
    arrays = {key: a.numpy() for key, a in published.state_dict(published.HEADS[kind]).items()}
    return import_checkpoint(Checkpoint(arrays, None, {}), published.HEADS[kind], {})


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind", published.HEADS)
def test_files_come_back_as_they_were(tmp_path: Path, kind: str, prefix: str) -> None:
    """Through a checkpoint, a model folder on disk and a checkpoint again."""
    sources = published.write_head(tmp_path / "theirs", kind, prefix, lr=0.001, ünïcode=None)
    saved_model.save(tmp_path / "MODEL", import_files(*sources))
    loaded = saved_model.load(tmp_path / "MODEL")
    assert loaded.config == published.HEADS[kind]
    checkpoints.write(tmp_path / "back.pth", export_checkpoint(loaded))
    config_json.write(tmp_path / "back.json", loaded.config, loaded.provenance["settings"])
    theirs, back = (torch.load(path) for path in (sources[0], tmp_path / "back.pth"))
    assert list(back) == list(theirs)
    assert bits(back) == bits(theirs)
    assert (tmp_path / "back.json").read_bytes() == sources[1].read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", golden_heads.MODELS)
def test_the_released_sizes_come_back_in_their_order(kind: str, dtype: str) -> None:
    _, config, _, name = golden_heads.MODELS[kind]
    arrays = {
        key: value.astype(dtype) if value.dtype == np.float64 else value
        for key, value in golden.state_dict(name).items()
    }
    imported = import_checkpoint(Checkpoint(arrays, None, {}), config, {})
    assert imported.config == config
    exported = export_checkpoint(imported).state_dict
    keys = json.loads((golden.DATA / "state_dict_keys.json").read_text())[name]
    assert list(exported) == list(keys)
    assert list(load_reference(imported).state_dict()) == list(keys)
    assert bits(exported) == bits(arrays)


@pytest.mark.parametrize("kind", golden_heads.MODELS)
def test_the_reference_equals_the_published_model(kind: str) -> None:
    _, config, _, name = golden_heads.MODELS[kind]
    arrays = golden.state_dict(name)
    network = load_reference(import_checkpoint(Checkpoint(arrays, None, {}), config, {}))
    given = [torch.from_numpy(np.asarray(x)) for x in golden_heads.inputs(kind)]
    if kind == "diagnosis_supervised":
        given = [given[0], given[3]]
    elif kind != "diagnosis_demo_only":
        x, present, lengths, *people = given
        beyond = torch.arange(x.shape[2]) >= lengths[:, None]  # (B, T)
        given = [x, ~present[:, :, None] | beyond[:, None], lengths, *people]
    with torch.no_grad():
        out = network(*given).numpy()
    for tag, ours in golden_heads.by_tag(kind, out).items():
        assert golden.error(ours, golden_heads.HEADS[tag]) < 1e-13, tag


def test_sizes_that_config_json_does_not_tell_are_read_off_the_checkpoint(tmp_path: Path) -> None:
    config = SupervisedRiskConfig(16, 2, 4, 40, labels=2, demographics=5)
    entries = published.state_dict(config)
    paths = published.write_head(tmp_path, "diagnosis-of-signals")
    torch.save(entries, paths[0])
    config_json.write(paths[1], config, overwrite=True)
    assert import_files(*paths).config == config


MISFITS: list[tuple[str, str, Any, str]] = [
    ("staging", "num_classes", 6, "fc.weight has shape (5, 16) instead of (6, 16)"),
    ("staging", "max_seq_length", 8196, "pe has shape (1, 130, 16) instead of (1, 8196, 16)"),
    ("staging", "num_layers", 1, "lstm.weight_ih_l1_reverse is not part of the model"),
    ("diagnosis", "num_layers", 3, "lstm.bias_hh_l2 is missing"),
    ("diagnosis", "num_classes", 1065, "disease_heads.bias has shape (2,) instead of (1065,)"),
]


@pytest.mark.parametrize(("kind", "key", "value", "fault"), MISFITS)
def test_a_checkpoint_of_another_size_is_refused(
    tmp_path: Path, kind: str, key: str, value: Any, fault: str
) -> None:
    checkpoint, config = published.write_head(tmp_path, kind)
    settings = json.loads(config.read_text())
    settings["model_params"][key] = value
    config.write_text(json.dumps(settings))
    with pytest.raises(InputError) as caught:
        import_files(checkpoint, config)
    assert str(caught.value).startswith(f"{checkpoint}: the checkpoint does not fit its config: ")
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", ["DiagnosisFinetuneFullLSTMCOXPH", "SetTransformer"])
def test_a_checkpoint_of_another_class_is_refused(tmp_path: Path, other: str) -> None:
    checkpoint, config = published.write_head(tmp_path, "diagnosis", model=other)
    with pytest.raises(InputError, match=r"is (not part of the model|missing)"):
        import_files(checkpoint, config)


def test_what_training_leaves_beside_a_network_is_not_exported() -> None:
    plain = model("diagnosis")
    beside = {"baseline.times": np.arange(3.0), "baseline.cumulative": np.zeros((3, 2))}
    more = SavedModel(plain.config, plain.weights | beside, {})
    assert bits(export_checkpoint(more).state_dict) == bits(export_checkpoint(plain).state_dict)


def test_a_model_without_published_class_cannot_be_exported() -> None:
    config = SupervisedRiskConfig(16, 1, 2, 24, labels=2, demographics=0)
    with pytest.raises(InputError, match="no published class takes signals without demographics; "):
        export_checkpoint(SavedModel(config, {}))


@pytest.mark.parametrize("kind", published.HEADS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_and_output_is_equal(kind: str, dtype: str) -> None:
    sample = samples.noise_for_head(published.HEADS[kind], seed=0)
    differences = parity.measure(model(kind), sample, dtype)
    for difference in differences:
        assert difference.is_equal, difference.name
        assert (difference.own > 0) == (dtype == "float32"), difference.name
    names = [difference.name for difference in differences]
    assert names[-1] == "output"
    assert ("demographics" in names) == (kind not in ("staging", "diagnosis-of-night-alone"))


ERRORS = [
    ("staging", "lstm.bias_hh_l1_reverse", "LSTM"),
    ("staging", "transformer_encoder.layers.1.linear2.bias", "encoder layer 2"),
    ("diagnosis", "demo_embedding.0.bias", "demographics"),
    ("diagnosis", "disease_heads.weight", "hazards"),
    ("diagnosis", "spatial_pooling.transformer_layer.norm2.bias", "spatial pooling"),
]


@pytest.mark.parametrize(("kind", "entry", "layer"), ERRORS)
def test_an_error_is_told_where_it_is(
    monkeypatch: pytest.MonkeyPatch, kind: str, entry: str, layer: str
) -> None:
    """Entries of the reference are off by 1e-3."""
    load = parity.load_reference

    def off(saved: SavedModel) -> Any:
        network = load(saved)
        network.state_dict()[entry].view(-1)[:8].add_(1e-3)
        return network

    monkeypatch.setattr(parity, "load_reference", off)
    sample = samples.noise_for_head(published.HEADS[kind], seed=0)
    unequal = [d.name for d in parity.measure(model(kind), sample) if not d.is_equal]
    assert unequal == [layer, "output"]


def test_the_commands_choices_are_the_published_classes() -> None:
    assert tuple(classes.BY_KIND) == KINDS


@pytest.mark.parametrize("kind", published.HEADS)
def test_a_created_head_is_imported_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    monkeypatch.setattr(classes, "newborn", lambda kind: published.HEADS[kind])
    monkeypatch.chdir(tmp_path)
    assert main(["create", "--kind", kind, "--seed", "3", "--output", "made"]) == 0
    for command in (
        "import --checkpoint made/best.pth --config made/config.json --output MODEL",
        "export --model MODEL --checkpoint back.pth --config back.json",
    ):
        assert main(command.split()) == 0
    assert bits(torch.load("back.pth")) == bits(torch.load("made/best.pth"))
    assert Path("back.json").read_text() == Path("made/config.json").read_text()
    assert capsys.readouterr().err == ""
    assert main(["parity", "--model", "MODEL", "--recording", "night.edf"]) == 2
    assert "--recording belongs to a base model" in capsys.readouterr().err


def test_a_diagnosis_head_is_told_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    published.write_head(tmp_path, "diagnosis")
    Path("labels.csv").write_text(LABELS)
    command = "import --checkpoint best.pth --config config.json --output MODEL --labels labels.csv"
    assert main(command.split()) == 0
    expected = Outcomes((("008", "Infection"), ("250.2", "Diabetes")))
    assert saved_model.load("MODEL", "diagnosis").outcomes == expected
    Path("labels.csv").write_text(LABELS + "2,3,Third\n")
    assert main(command.split()) == 2
    assert "labels.csv: names 3 labels, the model has 2; give" in capsys.readouterr().err


def test_released_sizes_of_newborn_heads() -> None:
    for kind in published.HEADS:
        config = classes.newborn(kind)
        assert classes.of(config).kind == kind
        assert jax.tree.leaves(config) == [config]
