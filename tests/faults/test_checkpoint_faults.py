"""Damaged and hostile checkpoints are refused with one sentence, and nothing in them is run."""

import dataclasses
import os
import pickle
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conversion import checkpoints, config_json
from conversion.models import import_files
from sleepfm_jax.errors import InputError
from tests.conversion import published


def refusal(checkpoint: Path, config: Path) -> str:
    """The sentence with which a checkpoint is refused: its name, the fault, the way out."""
    with pytest.raises(InputError) as caught:
        import_files(checkpoint, config)
    sentence = str(caught.value)
    assert sentence.startswith((f"{checkpoint}: ", f"{config}: "))
    assert "; " in sentence
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return published.write(tmp_path)


class Touch:
    """Unpickled without care it makes a file."""

    def __init__(self, path: Path, call: Callable[..., object]) -> None:
        self.path = path
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        if self.call is os.system:
            return self.call, (f"touch {self.path}",)
        return self.call, (str(self.path), "w")


@pytest.mark.parametrize("call", [os.system, open, os.mkdir, eval])
@pytest.mark.parametrize("place", ["top", "state_dict", "temperature", "loss", "bare pickle"])
def test_hostile_pickles_are_refused_and_not_run(
    files: tuple[Path, Path], tmp_path: Path, call: Callable[..., object], place: str
) -> None:
    hostile: Any = Touch(tmp_path / "touched", call)
    if place == "bare pickle":
        files[0].write_bytes(pickle.dumps(hostile, protocol=2))
    else:
        content = published.base_checkpoint()
        content["state_dict"] = {**content["state_dict"], "x": hostile}
        content = {
            "top": hostile,
            "state_dict": content,
            "temperature": {**published.base_checkpoint(), "temperature": hostile},
            "loss": {**published.base_checkpoint(), "loss": [hostile]},
        }[place]
        torch.save(content, files[0])
    sentence = refusal(*files)
    assert "is refused because it holds" in sentence
    assert "unpickling that could run code" in sentence
    assert call.__name__ in sentence
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [torch.nn.Linear(2, 2), {"x": Path("y")}, {"x": np.zeros(2)}])
def test_whole_modules_and_other_objects_are_refused(
    files: tuple[Path, Path], content: Any
) -> None:
    torch.save(content, files[0])
    assert "save it again with its state dict alone" in refusal(*files)


@pytest.mark.parametrize("new_format", [True, False])
def test_truncated_anywhere(files: tuple[Path, Path], new_format: bool) -> None:
    torch.save(published.base_checkpoint(), files[0], _use_new_zipfile_serialization=new_format)
    content = files[0].read_bytes()
    lengths = {0, 1, 3, 4, 100, len(content) - 1, len(content) - 100}
    for length in sorted(lengths | set(range(0, len(content), len(content) // 40))):
        files[0].write_bytes(content[:length])
        assert "download it again" in refusal(*files)


def test_every_flipped_byte_is_found_or_harmless(files: tuple[Path, Path]) -> None:
    """Data is under checksums; what is not (times, comments, padding) changes no number."""
    content = files[0].read_bytes()
    sound = checkpoints.read(files[0])
    rng = random.Random(1)
    refused = 0
    for place in rng.sample(range(len(content)), 150):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randrange(8)
        files[0].write_bytes(damaged)
        try:
            read = checkpoints.read(files[0])
        except InputError:
            refused += 1
        else:
            assert read.training == sound.training
            for key, array in sound.state_dict.items():
                assert read.state_dict[key].tobytes() == array.tobytes()
    assert refused > 50


def test_flipped_data_is_named(files: tuple[Path, Path]) -> None:
    """PyTorch alone would read it."""
    content = bytearray(files[0].read_bytes())
    values = published.state_dict()["layer_norm.weight"].numpy().tobytes()
    content[content.index(values) + 3] ^= 4
    files[0].write_bytes(content)
    torch.load(files[0], weights_only=False)
    assert re.search(r"best/data/\d+ in it does not match its checksum", refusal(*files))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello world\n",
        b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04",
        b'{"a": 1}',
        b"<html>",
        b"\x80\x02.",
    ],
)
def test_what_is_no_checkpoint_is_refused(files: tuple[Path, Path], content: bytes) -> None:
    files[0].write_bytes(content)
    assert "cannot be read as a PyTorch checkpoint" in refusal(*files)


def test_a_pointer_of_git_lfs_is_told(files: tuple[Path, Path]) -> None:
    files[0].write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "run `git lfs pull`" in refusal(*files)


def test_missing_files_and_folders(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "absent.pt", files[1])
    assert "cannot be opened" in refusal(tmp_path, files[1])
    assert "cannot be opened" in refusal(files[0], tmp_path / "absent.json")


def test_another_class_in_the_config(files: tuple[Path, Path]) -> None:
    published.write(files[0].parent, model="DiagnosisFinetuneFullLSTMCOXPH")
    assert "model_params is missing or no JSON object; " in refusal(*files)


def put(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda entries: entries.__setitem__(key, value)


def infinite(entries: dict[str, Any]) -> None:
    entries["layer_norm.bias"][3] = torch.inf
    entries["patch_embedding.tokenizer.1.running_var"][0] = torch.nan


STRANGE: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda e: e.update({k: v.half() for k, v in e.items()}), "holds numbers other than float32"),
    (put("layer_norm.bias", torch.zeros(16, dtype=torch.bfloat16)), "in layer_norm.bias; save it"),
    (put("layer_norm.bias", torch.zeros(16, dtype=torch.int64)), "in layer_norm.bias; save it"),
    (put("layer_norm.bias", torch.zeros(16, dtype=torch.complex64)), "other than float32"),
    (put("layer_norm.bias", torch.zeros(16).to_sparse()), "something else than a tensor in layer"),
    (put("layer_norm.bias", torch.zeros(1).expand(10**15)), "something else than a tensor"),
    (put("layer_norm.bias", [0.0] * 16), "something else than a tensor in layer_norm.bias"),
    (put("layer_norm.bias", torch.zeros(17)), "layer_norm.bias has shape (17,) instead of (16,)"),
    (put("layer_norm.bias", torch.zeros(())), "layer_norm.bias has shape () instead of (16,)"),
    (put(3, torch.zeros(16)), "something else than a tensor in 3"),
    (put("extra", torch.zeros(0)), "extra is not part of the model"),
    (infinite, "patch_embedding.tokenizer.1.running_var, layer_norm.bias; give a checkpoint from"),
    (
        put("patch_embedding.tokenizer.1.num_batches_tracked", torch.tensor(2**31)),
        "patch_embedding.tokenizer.1.num_batches_tracked cannot be kept bit for bit",
    ),
    (
        put("patch_embedding.tokenizer.1.num_batches_tracked", torch.tensor(3.0)),
        "(int64 for counters) in patch_embedding.tokenizer.1.num_batches_tracked",
    ),
    (lambda e: e.pop("positional_encoding.pe"), "positional_encoding.pe is missing"),
    (put("positional_encoding.pe", torch.zeros(5, 16)), "positional_encoding.pe has shape (5, 16)"),
    (lambda e: e.clear(), "its state dict is empty"),
]


@pytest.mark.parametrize(("change", "fault"), STRANGE)
def test_strange_entries_are_named(
    files: tuple[Path, Path], change: Callable[[dict[str, Any]], object], fault: str
) -> None:
    torch.save(published.changed(change), files[0])
    assert fault in refusal(*files)


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], None, "text", {}, {"state_dict": 3}])
def test_what_is_no_state_dict_is_refused(files: tuple[Path, Path], content: Any) -> None:
    torch.save(content, files[0])
    assert re.search("not a checkpoint|state dict is empty", refusal(*files))


def test_a_config_of_other_size_names_what_does_not_fit(files: tuple[Path, Path]) -> None:
    fewer = dataclasses.replace(published.SMALL, num_layers=1)
    config_json.write(files[1], fewer, overwrite=True)
    assert refusal(*files).count("transformer_encoder.layers.1.") == 12
    more = dataclasses.replace(published.SMALL, num_layers=3, embed_dim=32)
    config_json.write(files[1], more, overwrite=True)
    sentence = refusal(*files)
    assert sentence.count("transformer_encoder.layers.2.") == 12
    assert "layer_norm.weight has shape (16,) instead of (32,)" in sentence
