"""docs/conversion.md: its commands run in their order, its tables are those that are printed."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from conversion import parity
from conversion import published as classes
from conversion.__main__ import main
from conversion.layers import layers
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.models.foundation import FoundationConfig
from tests.conversion import published
from tests.conversion.test_release import clone

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "conversion.md").read_text()
COMMANDS = "".join(re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)).splitlines()


def test_its_commands_run_in_their_order(
    tmp_path: Path,
    night: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As written, only with small models; how equal they are, the tests of parity measure."""
    equal = parity.Difference("layer", 1e-7, 1e-7, 1e-7)
    monkeypatch.setattr(parity, "measure", lambda *_: [equal])
    small = {"base": published.SMALL, **published.HEADS, **published.TOWERS}
    monkeypatch.setattr(classes, "newborn", lambda kind: small[kind])
    monkeypatch.chdir(tmp_path)
    shutil.copy(night, "night.edf")
    clone(Path("sleepfm-clinical"), night)
    assert len(COMMANDS) == 14
    for command in COMMANDS:
        python, option, module, *arguments = shlex.split(command)
        assert (python, option, module) == ("python", "-m", "conversion")
        assert main(arguments) == 0, command
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("equal: every layer and output is within 4 times") == 12
    assert printed.out.count("equal: every layer and output is within 1e-12") == 1
    created, back = (torch.load(Path(folder) / "best.pt") for folder in ("untrained", "back"))
    assert list(created["state_dict"]) == list(back["state_dict"])
    for key, value in created["state_dict"].items():
        assert torch.equal(value, back["state_dict"][key])
    assert Path("untrained/config.json").read_text() == Path("back/config.json").read_text()
    assert sorted(path.name for path in Path("MODELS").iterdir()) == [
        "base",
        "channel_groups.json",
        "diagnosis",
        "label_mapping.csv",
        "staging",
    ]


def test_its_table_is_the_one_that_is_printed() -> None:
    lines = TEXT.split("\n")
    header = lines.index(parity.HEADER + parity.YARDSTICK_HEADER)
    names = [layer.name for layer in layers(FoundationConfig())]
    names += [f"{kind} {m.name}" for kind in ("pooled", "sequence") for m in Modality]
    rows = lines[header + 1 : header + 1 + len(names)]
    assert [row[:20].strip() for row in rows] == names
    for row in rows:
        name, largest, relative, own, _ = row[:20].strip(), *map(float, row[20:].split())
        assert str(parity.Difference(name, largest, relative, own))[:-8] == row[:-8]
    assert lines[header + 1 + len(names)].startswith("equal: every layer and output is within 4 ")


@pytest.mark.parametrize("path", re.findall(r"`((?:conversion|tests)/[\w./]+)`", TEXT))
def test_files_it_names_exist(path: str) -> None:
    assert (ROOT / path).exists()
