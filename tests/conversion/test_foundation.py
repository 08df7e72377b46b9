"""Import, then export: the very bits, whatever the size and however the file was written."""

import dataclasses
import hashlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from conversion import checkpoints, config_json
from conversion.checkpoints import Checkpoint
from conversion.models import (
    create_checkpoint,
    export_checkpoint,
    import_checkpoint,
    import_files,
    load_reference,
)
from sleepfm_jax import saved_model
from sleepfm_jax.models.foundation import FoundationConfig
from tests import golden
from tests.conversion import published
from tests.conversion.test_table import sizes


def bits(state_dict: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    arrays = {key: np.asarray(value) for key, value in state_dict.items()}
    return {key: (str(a.dtype), a.shape, a.tobytes()) for key, a in arrays.items()}


@settings(max_examples=12, deadline=None)
@given(config=sizes)
def test_any_size_comes_back_bit_for_bit(config: FoundationConfig) -> None:
    arrays = {key: value.numpy() for key, value in published.state_dict(config).items()}
    told = dataclasses.replace(config, feed_forward=2048, max_patches=128)  # config.json is silent
    model = import_checkpoint(Checkpoint(arrays, None, {}), told, {})
    assert model.config == config
    assert bits(export_checkpoint(model).state_dict) == bits(arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_released_size_comes_back_bit_for_bit(dtype: str) -> None:
    exported = export_checkpoint(golden.saved_model(dtype)).state_dict
    expected = {
        key: value.astype(dtype) if value.dtype == np.float64 else value
        for key, value in golden.state_dict().items()
    }
    assert bits(exported) == bits(expected)
    assert exported["positional_encoding.pe"].dtype == np.float32


@pytest.mark.parametrize(
    ("prefix", "bare", "dtype"), list(itertools.product(["", "module."], [True, False], [32, 64]))
)
def test_files_come_back_as_they_were(tmp_path: Path, prefix: str, bare: bool, dtype: int) -> None:
    """Through a checkpoint, a model folder on disk and a checkpoint again."""
    content = published.base_checkpoint(prefix=prefix)
    if dtype == 64:
        content["state_dict"] = {
            key: value.double() if value.is_floating_point() else value
            for key, value in content["state_dict"].items()
        }
    sources = published.write(tmp_path / "theirs", content["state_dict"] if bare else content)
    saved_model.save(tmp_path / "MODEL", import_files(*sources))
    model = saved_model.load(tmp_path / "MODEL")
    checkpoints.write(tmp_path / "back.pt", export_checkpoint(model))
    config_json.write(tmp_path / "back.json", model.config, model.provenance["settings"])

    back = torch.load(tmp_path / "back.pt", weights_only=True)
    if bare:
        assert bits(back) == bits(content["state_dict"])
        assert list(back) == list(content["state_dict"])
    else:
        assert bits(back["state_dict"]) == bits(content["state_dict"])
        assert list(back["state_dict"]) == list(content["state_dict"])
        assert bits({"": back["temperature"]}) == bits({"": content["temperature"].detach()})
        kept = {key: back[key] for key in ("epoch", "best_loss", "loss")}
        assert kept == {"epoch": 17, "best_loss": 1.5, "loss": 1.25}
    assert (tmp_path / "back.json").read_bytes() == sources[1].read_bytes()


def test_what_is_imported_is_what_pytorch_computes_with(tmp_path: Path) -> None:
    """The reference loads the published file as it is; through a model folder it is the same."""
    paths = published.write(tmp_path)
    signals = torch.from_numpy(golden.signal("input/any", 2, 3, 1280)).float()
    own = load_reference(import_files(*paths))
    direct = published.reference_model(published.SMALL).eval()
    direct.load_state_dict(torch.load(paths[0], weights_only=False)["state_dict"])
    with torch.no_grad():
        for ours, theirs in zip(own(signals), direct(signals), strict=True):
            assert torch.equal(ours, theirs)


def test_provenance_tells_the_file_but_no_folder(tmp_path: Path) -> None:
    paths = published.write(tmp_path)
    provenance = import_files(*paths).provenance
    assert provenance["checkpoint"] == "best.pt"
    assert provenance["sha256"] == hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert provenance["training"] == {"epoch": 17, "best_loss": 1.5, "loss": 1.25}
    assert str(tmp_path) not in str(provenance)


def test_a_created_checkpoint_depends_on_its_seed_alone() -> None:
    torch.manual_seed(1)
    first = create_checkpoint(published.SMALL, seed=3)
    state = torch.get_rng_state()
    second = create_checkpoint(published.SMALL, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    assert bits(first.state_dict) == bits(second.state_dict)
    other = create_checkpoint(published.SMALL, seed=4)
    same = [
        key
        for key in first.state_dict
        if np.array_equal(first.state_dict[key], other.state_dict[key])
    ]
    assert not [key for key in same if "linear" in key or "tokenizer.0" in key]
