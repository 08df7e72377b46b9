"""Checkpoint files in every form they come in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conversion import checkpoints
from conversion.checkpoints import Checkpoint
from sleepfm_jax.errors import InputError
from tests.conversion import published


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path / "best.pt", **options)
    return path / "best.pt"


TEMPERATURES = {
    "tensor": (torch.tensor(0.1), "float32"),
    "parameter": (torch.nn.Parameter(torch.tensor(0.1)), "float32"),
    "one of one": (torch.tensor([0.1]), "float32"),
    "float64": (torch.tensor(0.1, dtype=torch.float64), "float64"),
    "float": (0.1, "float64"),
    "whole": (0, "float64"),
    "NumPy's": (np.float64(0.1), "float64"),
}


@pytest.mark.parametrize("kind", TEMPERATURES)
def test_any_scalar_is_a_temperature(tmp_path: Path, kind: str) -> None:
    value, dtype = TEMPERATURES[kind]
    expected = value.item() if isinstance(value, torch.Tensor) else value
    path = saved(tmp_path, {**published.base_checkpoint(), "temperature": value})
    temperature = checkpoints.read(path).temperature
    assert temperature is not None
    assert (temperature.shape, temperature.dtype) == ((), dtype)
    assert temperature.item() == expected
    again = tmp_path / "again.pt"
    checkpoints.write(again, checkpoints.read(path))
    assert torch.load(again)["temperature"].item() == expected


@pytest.mark.parametrize(
    "value",
    [torch.zeros(2), "warm", torch.tensor(torch.nan), [0.1], torch.tensor(1j), float("inf")],
)
def test_what_is_no_scalar_is_no_temperature(tmp_path: Path, value: Any) -> None:
    path = saved(tmp_path, {**published.base_checkpoint(), "temperature": value})
    with pytest.raises(InputError, match="its temperature is no single number"):
        checkpoints.read(path)


def test_plain_numbers_of_the_training_are_kept_and_nothing_else(tmp_path: Path) -> None:
    content = {
        **published.base_checkpoint(),
        "loss": torch.tensor(2.5),
        "best_loss": np.float32(0.5),
        "note": "x",
        "history": [1.0, 2.0],
    }
    training = checkpoints.read(saved(tmp_path, content)).training
    assert training == {"epoch": 17, "best_loss": 0.5, "loss": 2.5, "note": "x"}
    assert {type(value) for value in training.values()} == {int, float, str}


def test_the_prefix_is_taken_off_only_if_all_keys_carry_it(tmp_path: Path) -> None:
    with_prefix = published.base_checkpoint(prefix="module.")
    read = checkpoints.read(saved(tmp_path, with_prefix))
    assert read.prefix == "module."
    assert list(read.state_dict) == list(published.state_dict())
    with_prefix["state_dict"]["module.layer"] = with_prefix["state_dict"].pop(
        "module.layer_norm.bias"
    )
    with_prefix["state_dict"]["layer_norm.bias"] = torch.zeros(16)
    read = checkpoints.read(saved(tmp_path, with_prefix))
    assert read.prefix == ""
    assert {"module.layer", "layer_norm.bias", "module.layer_norm.weight"} <= set(read.state_dict)


def test_the_format_before_pytorch_1_6_is_read(tmp_path: Path) -> None:
    old = saved(tmp_path, published.base_checkpoint(), _use_new_zipfile_serialization=False)
    assert checkpoints.read(old).state_dict["layer_norm.bias"].shape == (16,)


def test_parameters_and_views_are_tensors(tmp_path: Path) -> None:
    def change(entries: dict[str, torch.Tensor]) -> None:
        entries["layer_norm.bias"] = torch.nn.Parameter(torch.arange(16.0))
        entries["layer_norm.weight"] = torch.arange(32.0).reshape(16, 2).T[1]

    read = checkpoints.read(saved(tmp_path, published.changed(change))).state_dict
    np.testing.assert_array_equal(read["layer_norm.bias"], np.arange(16.0))
    np.testing.assert_array_equal(read["layer_norm.weight"], np.arange(1, 32, 2.0))


def test_writing_twice_gives_the_same_bytes_and_never_another_file(tmp_path: Path) -> None:
    entries = {key: value.numpy() for key, value in published.state_dict().items()}
    path = tmp_path / "new" / "best.pt"
    checkpoints.write(path, Checkpoint(entries, None, {}))
    content, inode = path.read_bytes(), path.stat().st_ino
    checkpoints.write(path, Checkpoint(entries, None, {}))
    assert (path.read_bytes(), path.stat().st_ino) == (content, inode)
    other = Checkpoint(entries, np.zeros((), np.float32), {})
    with pytest.raises(InputError, match=r"stands there already .* add --overwrite"):
        checkpoints.write(path, other)
    assert path.read_bytes() == content
    checkpoints.write(path, other, overwrite=True)
    assert checkpoints.read(path).temperature == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["best.pt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checkpoint = Checkpoint({"a": np.zeros(1, np.float32)}, None, {})
    for path in (tmp_path / "file" / "best.pt", tmp_path):
        with pytest.raises(InputError, match=f"{path}: cannot be written .*; free some space"):
            checkpoints.write(path, checkpoint, overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]
