"""The ICML 2024 system's checkpoints to model folders and back: the very bits; misfits named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flax import nnx

from conversion import checkpoints, effnet, parity, samples
from conversion.__main__ import main
from conversion.checkpoints import TOWERS
from conversion.models import import_checkpoint, import_files, reference_model
from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.kinds import network_of
from sleepfm_jax.models.weights import shapes
from tests import golden
from tests.conversion.test_foundation import bits
from tests.parity import test_effnet as published

KEYS = json.loads((golden.DATA / "effnet_keys.json").read_text())


def content(prefix: str = "", **beside: Any) -> dict[str, Any]:
    """What a published file of three towers holds."""
    towers = {
        f"{name}_state_dict": {
            prefix + key: torch.from_numpy(np.array(value))
            for key, value in published.state_dict(channels, dtype="float32").items()
        }
        for name, channels in EffNetConfig().channels.items()
    }
    return {**towers, "temperature": torch.tensor(0.25), **beside}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_three_towers_come_back_as_they_were(tmp_path: Path, prefix: str) -> None:
    """Through a checkpoint, a model folder on disk and a checkpoint again, by the commands."""
    theirs = content(prefix, epoch=7)
    torch.save(theirs, tmp_path / "best.pt")
    model, back = tmp_path / "MODEL", tmp_path / "back.pt"
    assert main(f"import --checkpoint {tmp_path / 'best.pt'} --output {model}".split()) == 0
    assert saved_model.load(model).config == EffNetConfig()
    assert main(f"export --model {model} --checkpoint {back}".split()) == 0
    found = torch.load(back)
    assert list(found) == list(theirs)
    assert found["epoch"] == 7
    assert found["temperature"].numpy().tobytes() == theirs["temperature"].numpy().tobytes()
    for name in TOWERS:
        held, given = found[f"{name}_state_dict"], theirs[f"{name}_state_dict"]
        assert list(held) == list(given)
        assert bits(held) == bits(given)


def test_a_tower_by_itself_comes_back_as_it_was(tmp_path: Path) -> None:
    entries = published.state_dict(5, 5, "float32")
    theirs = {key: torch.from_numpy(np.array(value)) for key, value in entries.items()}
    torch.save(theirs, tmp_path / "best.pt")
    saved_model.save(tmp_path / "MODEL", import_files(tmp_path / "best.pt"))
    command = f"export --model {tmp_path / 'MODEL'} --checkpoint {tmp_path / 'back.pt'}"
    assert main(command.split()) == 0
    assert bits(torch.load(tmp_path / "back.pt")) == bits(theirs)
    assert main([*command.split(), "--config", str(tmp_path / "back.json")]) == 2


def test_entries_are_the_published_ones_one_to_one_onto_the_networks_arrays() -> None:
    config = SupervisedEffNetConfig(channels=1, classes=512)
    table = effnet.supervised_effnet(config)
    assert list(table) == list(KEYS) == list(reference_model(config).state_dict())
    flax = shapes(lambda: network_of(config, rngs=nnx.Rngs(0)))
    assert sorted(path for path, _ in table.values()) == sorted(flax)
    for key, (path, transform) in table.items():
        assert list(transform.to_torch(np.empty(flax[path], bool)).shape) == KEYS[key], key
    towers = effnet.effnet(EffNetConfig())
    assert list(towers) == [f"{name}.{key}" for name in TOWERS for key in KEYS]
    assert {path for path, _ in towers.values()} == {f"{m}.{p}" for m in TOWERS for p in flax}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c.pop("ekg_state_dict"), "lacks ekg_state_dict"),
        (lambda c: c["ekg_state_dict"].pop("fc.weight"), "ekg.fc.weight is missing"),
        (
            lambda c: c["respiratory_state_dict"].update(extra=torch.zeros(1)),
            "respiratory.extra is not part of the model",
        ),
        (
            lambda c: c["sleep_stages_state_dict"].update({"b0.bias": torch.zeros(31)}),
            "sleep_stages.b0.bias has shape (31,) instead of (32,)",
        ),
        (
            lambda c: c["ekg_state_dict"].update({"b0.bias": torch.full((32,), torch.nan)}),
            "holds NaN or infinity, with which every embedding would be NaN, in ekg.b0.bias",
        ),
        (lambda c: c["ekg_state_dict"].update({"b0.bias": "text"}), "tensor in ekg.b0.bias"),
    ],
)
def test_misfits_are_named(tmp_path: Path, change: Any, fault: str) -> None:
    theirs = content()
    change(theirs)
    torch.save(theirs, tmp_path / "best.pt")
    with pytest.raises(InputError) as caught:
        import_files(tmp_path / "best.pt")
    assert str(caught.value).startswith(f"{tmp_path / 'best.pt'}: ")
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_layers_of_the_two_sides_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "CLIP", 256)
    every = parity.layers(SupervisedEffNetConfig(2, 3))
    assert [layer.name for layer in every] == ["stem", *(f"stage {n}" for n in range(1, 8)), "head"]
    monkeypatch.setattr(parity, "layers", lambda _: (every[0], every[2], every[-1]))
    entries, config = published.state_dict(2, 3, "float32"), SupervisedEffNetConfig(2, 3)
    model = import_checkpoint(checkpoints.Checkpoint(entries, None, {}), config, {})
    differences = parity.measure(model, samples.noise_for_head(config, seed=0))
    assert [d.name for d in differences if not d.is_equal] == []
    assert [d.name for d in differences] == ["stem", "stage 2", "head", "output"]
