"""A clone of the published repository, rebuilt from its layout: what is there is converted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conversion import parity
from conversion.__main__ import main
from conversion.models import import_files
from conversion.samples import HeadSample, Sample
from sleepfm_jax import saved_model
from sleepfm_jax.models.kinds import kind_of
from sleepfm_jax.saved_model import Outcomes, SavedModel
from tests.conversion import published

GROUPS = {"BAS": ["C3-M2", "C4-M1"], "RESP": ["Flow"], "EKG": ["ECG"], "EMG": ["Chin", "Leg L"]}
LABELS = 'label_idx,phecode,phenotype\n0,008,Intestinal infection\n1,250.2,"Diabetes, type 2"\n'


def clone(folder: Path, night: Path | None = None) -> Path:
    """The published layout with small models."""
    checkpoints, configs = folder / "sleepfm" / "checkpoints", folder / "sleepfm" / "configs"
    published.write(checkpoints / "model_base")
    published.write_head(checkpoints / "model_sleep_staging", "staging")
    published.write_head(checkpoints / "model_diagnosis", "diagnosis")
    configs.mkdir()
    (configs / "channel_groups.json").write_text(json.dumps(GROUPS))
    (configs / "label_mapping.csv").write_text(LABELS)
    (configs / "dataset_split.json").write_text('{"train": []}')
    if night:
        (folder / "notebooks" / "demo_data").mkdir(parents=True)
        shutil.copy(night, folder / "notebooks" / "demo_data" / "demo_psg.edf")
    return folder


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return clone(tmp_path / "release")


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Leaves parity to its own tests; lists on what it would have been measured."""
    measured: list[str] = []

    def report(model: SavedModel, sample: Sample | HeadSample, dtype: str) -> bool:
        windows = f" {len(sample.signals)}" if isinstance(sample, Sample) else ""
        measured.append(f"{kind_of(model.config)}: {sample.name}{windows} {dtype}")
        return True

    monkeypatch.setattr(parity, "report", report)
    return measured


def outcomes(text: str) -> dict[str, list[str]]:
    """State and remark by the last part of each path."""
    lines = [
        line for line in text.splitlines() if "sleepfm/" in line[:30] or "notebooks/" in line[:30]
    ]
    return {
        Path(line[11:53].strip()).name: [line[:11].strip(), line[53:].strip()] for line in lines
    }


def test_everything_there_is_converted_and_compared(
    tmp_path: Path, night: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = clone(tmp_path / "clone", night)
    models = tmp_path / "MODELS"
    assert main(["import", "--release", str(release), "--output", str(models)]) == 0
    printed = capsys.readouterr().out
    equal = ["converted", "equal to PyTorch on noise (seed 0)"]
    assert outcomes(printed) == {
        "model_base": equal,
        "demo_psg.edf": ["compared", "equal to PyTorch on demo_psg.edf"],
        "channel_groups.json": ["copied", "BAS 2, RESP 1, EKG 1, EMG 2"],
        "label_mapping.csv": ["copied", "2 phecodes"],
        "model_sleep_staging": equal,
        "model_diagnosis": equal,
    }
    assert printed.count("equal: every layer and output") == 4
    assert "demo_psg.edf: 2 windows of 300 s, channels BAS " in printed
    base = release / "sleepfm" / "checkpoints" / "model_base"
    imported = import_files(base / "best.pt", base / "config.json")
    assert saved_model.load(models / "base").content_hash == imported.content_hash
    assert sorted(path.name for path in models.iterdir()) == [
        "base",
        "channel_groups.json",
        "diagnosis",
        "label_mapping.csv",
        "staging",
    ]
    assert kind_of(saved_model.load(models, "staging").config) == "staging"
    diagnosis = saved_model.load(models, "diagnosis")
    assert diagnosis.outcomes == Outcomes(
        (("008", "Intestinal infection"), ("250.2", "Diabetes, type 2"))
    )
    assert json.loads((models / "channel_groups.json").read_text()) == GROUPS
    assert (models / "label_mapping.csv").read_text() == LABELS
    # A second run finds everything as it left it.
    assert main(["import", "--release", str(release), "--output", str(models)]) == 0


def test_parity_of_a_release_leaves_nothing(
    release: Path, unmeasured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(release.rglob("*"))
    command = ["parity", "--release", str(release), "--windows", "3", "--seed", "5", "--float64"]
    assert main(command) == 0
    assert unmeasured == [
        "foundation: noise (seed 5) 3 float64",
        "staging: noise (seed 5) float64",
        "risk: noise (seed 5) float64",
    ]
    assert outcomes(capsys.readouterr().out)["demo_psg.edf"] == ["not found", ""]
    assert sorted(release.rglob("*")) == before


BASE = "sleepfm/checkpoints/model_base"
DAMAGES: list[tuple[str, Callable[[Path], object], str, str]] = [
    (f"{BASE}/best.pt", Path.unlink, "model_base", "No such file"),
    (
        f"{BASE}/best.pt",
        lambda p: p.write_text("version https://git-lfs.github"),
        "model_base",
        "git lfs pull",
    ),
    (f"{BASE}/config.json", Path.unlink, "model_base", "config.json: cannot be opened"),
    (
        "sleepfm/configs/channel_groups.json",
        lambda p: p.write_text("{"),
        "channel_groups.json",
        "JSON",
    ),
    (
        "sleepfm/configs/channel_groups.json",
        lambda p: p.write_text('{"EOG": ["E1"]}'),
        "channel_groups.json",
        "'EOG'",
    ),
    (
        "sleepfm/configs/label_mapping.csv",
        lambda p: p.write_bytes(b"\xff\xfe"),
        "label_mapping.csv",
        "cannot be read",
    ),
    (
        "sleepfm/configs/label_mapping.csv",
        lambda p: p.write_text("a,b\n1,2\n"),
        "label_mapping.csv",
        "it needs the columns",
    ),
    (
        "sleepfm/configs/label_mapping.csv",
        lambda p: p.write_text(LABELS + "1,3,x\n"),
        "label_mapping.csv",
        "does not number its labels 0, 1, 2",
    ),
    (
        "sleepfm/configs/label_mapping.csv",
        lambda p: p.write_text(LABELS + "x,3,x\n"),
        "label_mapping.csv",
        "invalid literal for int() with base 10: 'x'",
    ),
    (
        "sleepfm/checkpoints/model_diagnosis/config.json",
        Path.unlink,
        "model_diagnosis",
        "cannot be opened",
    ),
    (
        "sleepfm/checkpoints/model_diagnosis/best.pth",
        lambda p: p.write_bytes(p.read_bytes()[:-20]),
        "model_diagnosis",
        "cannot be read as a PyTorch checkpoint",
    ),
    (
        "sleepfm/checkpoints/model_diagnosis",
        lambda p: published.write_head(p, "staging"),
        "model_diagnosis",
        "is of kind staging, not a diagnosis model",
    ),
    ("notebooks/demo_data/demo_psg.edf", lambda p: p.write_bytes(b""), "demo_psg.edf", "is empty"),
]


@pytest.mark.parametrize(("part", "damage", "name", "fault"), DAMAGES)
def test_an_unusable_part_is_named_and_the_others_go_on(
    release: Path,
    unmeasured: list[str],
    capsys: pytest.CaptureFixture[str],
    part: str,
    damage: Callable[[Path], object],
    name: str,
    fault: str,
) -> None:
    (release / part).parent.mkdir(parents=True, exist_ok=True)
    damage(release / part)
    assert main(["parity", "--release", str(release)]) == 1
    found = outcomes(capsys.readouterr().out)
    state, remark = found.pop(name)
    assert state == "FAILED"
    assert fault in remark
    failed = [other for other, (state, _) in found.items() if state == "FAILED"]
    # Without its labels the diagnosis model is not what it could be.
    assert failed == (["model_diagnosis"] if name == "label_mapping.csv" else [])
    assert len(found) == 5
    measured = {entry.split(":")[0] for entry in unmeasured}
    assert ("foundation" in measured) == (name != "model_base")
    assert ("risk" in measured) == (name not in ("label_mapping.csv", "model_diagnosis"))


def test_a_night_is_not_used_without_a_model(
    release: Path, edge: Path, unmeasured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(release / BASE)
    (release / "notebooks" / "demo_data").mkdir(parents=True)
    shutil.copy(edge / "bad_date_with_data.edf", release / "notebooks/demo_data/demo_psg.edf")
    assert main(["parity", "--release", str(release)]) == 0
    found = outcomes(capsys.readouterr().out)
    assert found["model_base"] == ["not found", ""]
    assert found["demo_psg.edf"][0] == "not used"
    assert not [entry for entry in unmeasured if entry.startswith("foundation")]


def test_a_difference_is_a_failure(
    release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(parity, "report", lambda *_: False)
    assert main(["import", "--release", str(release), "--output", str(tmp_path / "M")]) == 1
    state, remark = outcomes(capsys.readouterr().out)["model_base"]
    assert state == "FAILED"
    assert "JAX and PyTorch differ on noise" in remark


@pytest.mark.usefixtures("unmeasured")
def test_files_of_others_in_the_output_stay(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "MODELS"
    (models / "base").mkdir(parents=True)
    (models / "base" / "thesis.tex").write_text("mine")
    (models / "channel_groups.json").write_text("{}")
    assert main(["import", "--release", str(release), "--output", str(models)]) == 1
    found = outcomes(capsys.readouterr().out)
    assert {name for name, (state, _) in found.items() if state == "FAILED"} == {
        "model_base",
        "channel_groups.json",
    }
    assert (models / "base" / "thesis.tex").read_text() == "mine"
    assert (models / "channel_groups.json").read_text() == "{}"


def test_what_is_no_clone_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        assert main(["parity", "--release", str(folder)]) == 2
        assert "is no clone of the published repository" in capsys.readouterr().err
