"""The ICML 2024 system's checkpoints to model folders and back: the very bits; misfits named."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conversion import checkpoints, effnet, parity, samples
from conversion import published as classes
from conversion.__main__ import main
from conversion.checkpoints import TOWERS, Checkpoint
from conversion.models import (
    create_checkpoint,
    export_checkpoint,
    import_checkpoint,
    import_files,
    reference_model,
)
from conversion.samples import HeadSample
from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.kinds import network_of
from sleepfm_jax.models.weights import shapes
from sleepfm_jax.saved_model import SavedModel
from tests import golden
from tests.conversion import published
from tests.conversion.test_foundation import bits
from tests.parity import test_effnet as golden_towers

KEYS = json.loads((golden.DATA / "effnet_keys.json").read_text())
SMALL, ALONE = published.TOWERS["effnet"], published.TOWERS["supervised-effnet"]


def content(prefix: str = "", **beside: Any) -> dict[str, Any]:
    """What a file of three small towers holds."""
    return {
        **{
            f"{name}_state_dict": {prefix + key: value for key, value in entries.items()}
            for name, entries in published.state_dicts_of_towers().items()
        },
        "temperature": torch.tensor(0.25),
        **beside,
    }


@pytest.mark.parametrize(("prefix", "beside"), [("", {}), ("module.", {"epoch": 7})])
def test_three_towers_come_back_as_they_were(
    tmp_path: Path, prefix: str, beside: dict[str, int]
) -> None:
    """Through a checkpoint, a model folder on disk and a checkpoint again, by the commands."""
    theirs = content(prefix, **beside)
    torch.save(theirs, tmp_path / "best.pt")
    model, back = tmp_path / "MODEL", tmp_path / "back.pt"
    assert main(f"import --checkpoint {tmp_path / 'best.pt'} --output {model}".split()) == 0
    assert saved_model.load(model, "towers").config == SMALL
    assert main(f"export --model {model} --checkpoint {back}".split()) == 0
    found = torch.load(back)
    assert list(found) == list(theirs)
    assert found.get("epoch") == theirs.get("epoch")
    assert found["temperature"].numpy().tobytes() == theirs["temperature"].numpy().tobytes()
    for name in TOWERS:
        held, given = found[f"{name}_state_dict"], theirs[f"{name}_state_dict"]
        assert list(held) == list(given)
        assert bits(held) == bits(given)


def test_towers_of_the_published_size_are_known_and_come_back_as_they_were() -> None:
    three = {
        f"{name}.{key}": value
        for name, channels in EffNetConfig().channels.items()
        for key, value in golden_towers.state_dict(channels, dtype="float32").items()
    }
    assert effnet.size(three) == EffNetConfig()
    given, config = golden_towers.state_dict(5, 5, "float32"), SupervisedEffNetConfig()
    assert effnet.size(given) == config
    back = export_checkpoint(import_checkpoint(Checkpoint(given, None, {}), config, {}))
    assert list(back.state_dict) == list(given)
    assert bits(back.state_dict) == bits(given)


@pytest.mark.parametrize("kind", published.TOWERS)
def test_created_ones_are_imported_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    monkeypatch.setattr(classes, "newborn", lambda kind: published.TOWERS[kind])
    monkeypatch.chdir(tmp_path)
    for command in (
        f"create --kind {kind} --seed 3 --output made",
        "import --checkpoint made/best.pt --output MODEL",
        export := "export --model MODEL --checkpoint back.pt",
    ):
        assert main(command.split()) == 0
    assert Path("back.pt").read_bytes() == Path("made/best.pt").read_bytes()
    assert [path.name for path in Path("made").iterdir()] == ["best.pt"]
    assert main([*export.split(), "--config", "back.json"]) == 2
    assert "has no config.json for such a model" in capsys.readouterr().err


def test_newborn_ones_are_of_the_published_size() -> None:
    assert classes.newborn("effnet") == EffNetConfig()
    assert classes.newborn("supervised-effnet") == SupervisedEffNetConfig()


numbers = st.integers(1, 4)


@settings(max_examples=5, deadline=None)
@given(
    stages=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=7),
    sizes=st.tuples(*[numbers] * 5),
)
@example(stages=[(3, 2)] * 7, sizes=(3, 2, 4, 1, 2))
def test_a_checkpoint_tells_any_size(stages: list[tuple[int, int]], sizes: tuple[int, ...]) -> None:
    first, expansion, features, *ends = sizes
    depths, widths = zip(*stages, strict=True)
    config = SupervisedEffNetConfig(
        *ends, widths=(first, *widths), depths=depths, expansion=expansion, features=features
    )
    created = create_checkpoint(config, 0)
    assert effnet.size(created.state_dict) == config
    assert list(effnet.supervised_effnet(config)) == list(created.state_dict)


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


def of(tower: str, **changes: Any) -> Any:
    """Changes entries of a tower's state dict."""
    entries = {key.replace("__", "."): value for key, value in changes.items()}
    return lambda content: content[f"{tower}_state_dict"].update(entries)


class Code:
    def __reduce__(self) -> Any:
        return print, ("runs",)


MISFITS = [
    (lambda c: c.pop("ekg_state_dict"), "lacks ekg_state_dict"),
    (lambda c: c["ekg_state_dict"].clear(), "does not tell the model's size by itself"),
    (lambda c: c["ekg_state_dict"].pop("fc.weight"), "ekg.fc.weight is missing"),
    (lambda c: c["respiratory_state_dict"].pop("stage9.bias"), "respiratory.stage9.bias is miss"),
    (lambda c: c["respiratory_state_dict"].pop("stage2.bn.weight"), "stage2.bn.weight is missing"),
    (of("respiratory", extra=torch.zeros(1)), "respiratory.extra is not part of the model"),
    (
        of("sleep_stages", b0__bias=torch.zeros(31)),
        "sleep_stages.b0.bias has shape (31,) instead of (4,)",
    ),
    (
        of("ekg", b0__bias=torch.full((4,), torch.nan)),
        "holds NaN or infinity, with which every embedding would be NaN, in ekg.b0.bias",
    ),
    (of("ekg", b0__bias="text"), "tensor in ekg.b0.bias"),
    (of("ekg", b0__bias=torch.zeros(4).half()), "other than float32 or float64"),
    (of("ekg", b0__bias=Code()), "unpickling that could run code"),
    (of("ekg", stage1__weight=torch.zeros(4)), "does not tell the model's size by itself"),
    (of("ekg", stage1__weight=torch.zeros(4, 0, 3)), "ekg is 0 but must be whole numbers from 1"),
    (of("ekg", stage1__weight=torch.zeros(4, 10**12, 0)), "a layer of 1000000000000 features is"),
    (of("respiratory", stage9__bias=torch.zeros(10**5)), "a layer of 100000 features is wider"),
    (of("respiratory", stage2__bn__weight=torch.zeros(2**15)), "a layer of 65536 features is"),
    (lambda c: c.update(temperature=torch.zeros(2)), "its temperature is no single number"),
]


@pytest.mark.parametrize(("change", "fault"), MISFITS)
def test_misfits_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, fault: str
) -> None:
    theirs = content()
    change(theirs)
    torch.save(theirs, tmp_path / "best.pt")
    with pytest.raises(InputError) as caught:
        import_files(tmp_path / "best.pt")
    assert str(caught.value).startswith(f"{tmp_path / 'best.pt'}: ")
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_checkpoints_are_refused(tmp_path: Path, share: float) -> None:
    torch.save(content(), tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "best.pt").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"best\.pt: cannot be read as a PyTorch checkpoint"):
        import_files(tmp_path / "best.pt")


def test_layers_of_the_two_sides_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "CLIP", 32)
    saved = import_checkpoint(create_checkpoint(ALONE, 0), ALONE, {})
    differences = parity.measure(saved, samples.noise_for_head(ALONE, seed=0), "float64")
    of_tower = [f"stage {n + 1}" for n in range(len(ALONE.depths))]
    assert [d.name for d in differences] == ["stem", *of_tower, "head", "output"]
    assert [d.name for d in differences if not d.is_equal] == []


def test_three_towers_of_the_two_sides_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "CLIP", 32)
    every = parity.layers(SMALL)
    of_tower = ["stem", *(f"stage {n + 1}" for n in range(len(SMALL.depths))), "head"]
    assert [d.name for d in every] == [f"{name} {layer}" for name in TOWERS for layer in of_tower]
    monkeypatch.setattr(parity, "layers", lambda _: ())
    saved = import_checkpoint(create_checkpoint(SMALL, 0), SMALL, {})
    (output,) = parity.measure(saved, samples.noise_for_head(SMALL, seed=0), "float64")
    assert output.name == "output"
    assert output.is_equal


def test_a_release_of_towers_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def report(model: SavedModel, sample: HeadSample, dtype: str) -> bool:
        assert model.config == SMALL
        return sample.calls[0][0][0].shape == (2, 5, samples.CLIP) and dtype == "float32"

    monkeypatch.setattr(parity, "report", report)
    file, models = tmp_path / "clone" / "sleepfm" / "checkpoint" / "best.pt", tmp_path / "MODELS"
    file.parent.mkdir(parents=True)
    torch.save(content(), file)
    command = f"import --release {tmp_path / 'clone'} --output {models}".split()
    assert main(command) == 0
    place = f"{'sleepfm/checkpoint/best.pt':<42}"
    assert capsys.readouterr().out == f"converted  {place}equal to PyTorch on noise (seed 0)\n"
    assert saved_model.load(models, "towers").content_hash == import_files(file).content_hash
    shutil.rmtree(models)
    checkpoints.write(file, create_checkpoint(ALONE, 0), overwrite=True)
    assert main(command) == 1
    assert "holds one tower and not the three" in capsys.readouterr().out
    assert not models.exists()
