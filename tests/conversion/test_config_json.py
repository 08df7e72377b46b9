"""The published config.json: its sizes, its other settings, its faults."""

import json
from pathlib import Path
from typing import Any

import pytest

from conversion import config_json
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, RiskConfig, SupervisedRiskConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.sleep_stager import StagingConfig
from tests.conversion import published

SIZES = {"embed_dim": 128, "num_heads": 8, "num_layers": 6, "pooling_head": 8, "dropout": 0.3}


def file(folder: Path, content: Any) -> Path:
    path = folder / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_sizes_and_every_other_setting_are_read(tmp_path: Path) -> None:
    settings = {**published.SETTINGS, **SIZES}
    config, kept = config_json.read(file(tmp_path, settings))
    assert config == FoundationConfig()
    assert kept == settings


def test_what_was_read_is_written_in_its_order(tmp_path: Path) -> None:
    settings = {"epochs": 20, **SIZES, "model": "SetTransformer", "dropout": 0}
    path = file(tmp_path, json.dumps(settings, indent=2) + "\n")
    config_json.write(tmp_path / "again.json", *config_json.read(path))
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_a_model_born_here_gets_what_published_code_expects(tmp_path: Path) -> None:
    config_json.write(tmp_path / "config.json", published.SMALL)
    config, settings = config_json.read(tmp_path / "config.json")
    assert (config.embed_dim, config.pooling_heads) == (16, 2)
    expected = {"BAS_CHANNELS": 10, "RESP_CHANNELS": 7, "EKG_CHANNELS": 2, "EMG_CHANNELS": 4}
    expected |= {"model": "SetTransformer", "patch_size": 640, "sampling_duration": 5}
    assert {key: settings[key] for key in expected} == expected


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"patch_size": 320}, "patch_size is 320, only 640 is this model"),
    ({"sampling_freq": 256, "in_channels": 2}, "in_channels is 2"),
    ({"embed_dim": "128"}, "embed_dim is '128', not a whole number from 1 to 4096"),
    ({"embed_dim": 128.0}, "embed_dim is 128.0"),
    ({"embed_dim": 10**9}, "embed_dim is 1000000000"),
    ({"num_layers": True}, "num_layers is True"),
    ({"num_layers": 0}, "num_layers is 0"),
    ({"num_heads": None, "pooling_head": -1}, "num_heads is None"),
    ({"num_heads": 3}, "embed_dim is 128, not a multiple of 3"),
    ({"embed_dim": 3, "num_heads": 1, "pooling_head": 1}, "embed_dim is 3, not a multiple of 2"),
    ({"dropout": 1}, "dropout is 1, not a number from 0 to below 1"),
    ({"dropout": "0.3"}, "dropout is '0.3'"),
    ({"dropout": float("nan")}, "dropout is nan"),
]


@pytest.mark.parametrize(("changes", "fault"), FAULTS)
def test_another_model_is_refused(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    path = file(tmp_path, {**SIZES, **changes})
    with pytest.raises(InputError) as caught:
        config_json.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert fault in str(caught.value)
    assert str(caught.value).endswith("; give the config.json that came with the checkpoint")


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    path = file(tmp_path, {"patch_size": 1, "embed_dim": 0, "num_heads": 2, "dropout": 2})
    with pytest.raises(InputError) as caught:
        config_json.read(path)
    for fault in (
        "patch_size is",
        "embed_dim is",
        "num_layers is miss",
        "pooling_head is m",
        "dropout",
    ):
        assert fault in str(caught.value)


PARAMS = {
    "embed_dim": 128,
    "num_heads": 4,
    "num_layers": 2,
    "num_classes": 5,
    "pooling_head": 8,
    "dropout": 0.3,
    "max_seq_length": 8196,
}
HEADS: dict[str, Any] = {
    "SleepEventLSTMClassifier": StagingConfig(num_layers=2, pooling_heads=8),
    "DiagnosisFinetuneFullLSTMCOXPHWithDemo": RiskConfig(labels=5),
    "DiagnosisFinetuneFullLSTMCOXPH": RiskConfig(labels=5, demographics=0),
    "DiagnosisFinetuneDemoOnlyEmbed": DemographicRiskConfig(labels=5),
    "DiagnosisFullSupervisedLSTMCOXPHWithDemoEmbed": SupervisedRiskConfig(labels=5),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_known_by_its_class_and_comes_back(tmp_path: Path, name: str) -> None:
    settings = {"epochs": 10, "model": name, "model_params": PARAMS, "max_channels": 4, "ß": None}
    path = file(tmp_path, json.dumps(settings, indent=2) + "\n")
    config, kept = config_json.read(path)
    assert config == HEADS[name]
    assert kept == settings
    config_json.write(tmp_path / "again.json", config, kept)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    config_json.write(tmp_path / "newborn.json", config)
    assert config_json.read(tmp_path / "newborn.json")[0] == config


HEAD_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"model": "SleepEventGRUClassifier"}, "model is 'SleepEventGRUClassifier', none of SetTr"),
    ({"model": ["x"]}, "model is ['x'], none of SetTransformer, SleepEventLSTMClassifier"),
    ({"model": None}, "model is None, none of"),
    ({"model_params": 3}, "model_params is missing or no JSON object"),
    ({"model_params": {}}, "embed_dim is missing; dropout is missing"),
    ({"model_params": {**PARAMS, "hidden": 3}}, "hidden is no size of a SleepEventLSTMClassifier"),
    ({"model_params": {**PARAMS, "max_seq_length": 2**20}}, "max_seq_length is 1048576"),
    ({"model_params": {**PARAMS, "num_heads": 3}}, "embed_dim is 128, not a multiple of 3"),
    ({"model_params": {**PARAMS, "dropout": None}}, "dropout is None"),
]


@pytest.mark.parametrize(("changes", "fault"), HEAD_FAULTS)
def test_an_impossible_head_is_refused(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    settings = {"model": "SleepEventLSTMClassifier", "model_params": PARAMS, **changes}
    with pytest.raises(InputError) as caught:
        config_json.read(file(tmp_path, settings))
    assert fault in str(caught.value)
    assert "; give the config.json " in str(caught.value)


def test_a_class_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="model is None, none of"):
        config_json.read(file(tmp_path, {"model_params": PARAMS}))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is no JSON"),
        ('{"embed_dim": 128', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1, 2]", "is not a JSON object"),
        ("null", "is not a JSON object"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: str, fault: str) -> None:
    with pytest.raises(InputError, match=rf"config\.json: {fault}.*; (give|download) "):
        config_json.read(file(tmp_path, content))


def test_binary_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"\x80\x02\xff")
    with pytest.raises(InputError, match="is no JSON"):
        config_json.read(tmp_path / "best.pt")
    with pytest.raises(InputError, match="cannot be opened"):
        config_json.read(tmp_path / "absent.json")
    with pytest.raises(InputError, match="cannot be opened"):
        config_json.read(tmp_path)
