"""`python -m conversion` as a user meets it: help, statuses, one sentence for every fault."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conversion import parity
from conversion.__main__ import main
from conversion.samples import Sample
from tests.conversion import published

COMMANDS = ["import", "export", "parity", "create"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with best.pt, config.json and the model made of them."""
    published.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run("import --checkpoint best.pt --config config.json --output MODEL") == 0
    return tmp_path


def run(command: str) -> int:
    return main(command.split())


def test_import_then_export_gives_the_files_back(folder: Path) -> None:
    assert run("export --model MODEL --checkpoint out/best.pt --config out/config.json") == 0
    theirs = torch.load(folder / "best.pt", weights_only=False)
    back = torch.load(folder / "out" / "best.pt", weights_only=True)
    assert list(back["state_dict"]) == list(theirs["state_dict"])
    for key, value in theirs["state_dict"].items():
        assert back["state_dict"][key].dtype == value.dtype
        assert torch.equal(back["state_dict"][key], value), key
    assert torch.equal(back["temperature"], theirs["temperature"].detach())
    assert (folder / "out" / "config.json").read_bytes() == (folder / "config.json").read_bytes()


def test_export_replaces_another_file_only_when_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "best.pt").read_bytes()
    assert run("export --model MODEL --checkpoint best.pt") == 2
    assert "best.pt: stands there already" in capsys.readouterr().err
    assert (folder / "best.pt").read_bytes() == before
    assert run("export --model MODEL --checkpoint best.pt --overwrite") == 0
    assert (folder / "best.pt").read_bytes() != before
    assert run("export --model MODEL --checkpoint best.pt") == 0


def test_created_files_can_be_imported_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("create --seed 3 --output made") == 0
    content = Path("made/best.pt").read_bytes()
    assert run("create --seed 3 --output made") == 0
    assert Path("made/best.pt").read_bytes() == content
    assert run("create --seed 4 --output made") == 2
    assert "nothing was changed" in capsys.readouterr().err
    assert run("create --seed 4 --output made --overwrite") == 0
    assert Path("made/best.pt").read_bytes() != content
    assert run("import --checkpoint made/best.pt --config made/config.json --output MODEL") == 0
    assert "156 entries, 4,848,551 numbers" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("equal", [True, False])
def test_parity_tells_by_its_status(
    monkeypatch: pytest.MonkeyPatch, psg: Path, equal: bool
) -> None:
    asked = []

    def report(_: object, sample: Sample, dtype: str) -> bool:
        asked.append((sample.name, len(sample.signals), dtype))
        return equal or len(asked) == 1

    monkeypatch.setattr(parity, "report", report)
    night = psg / "dreams_excerpt3" / "excerpt3.edf"
    status = run(f"parity --model MODEL --recording {night} --windows 3 --seed 8 --float64")
    assert status == (0 if equal else 1)
    assert asked == [("noise (seed 8)", 3, "float64"), ("excerpt3.edf", 3, "float64")]


REFUSED = [
    ("import --checkpoint best.pt --output M", "add --config"),
    (
        "import --release . --config config.json --output M",
        "--config and --labels belong to --checkpoint",
    ),
    ("import --checkpoint best.pt --config config.json --output .", "is not a model folder"),
    ("import --checkpoint config.json --config config.json --output M", "cannot be read as a Py"),
    ("import --checkpoint none.pt --config config.json --output M", "No such file"),
    ("export --model nowhere --checkpoint x.pt", "nowhere: no model is here"),
    ("export --model MODEL --checkpoint best.pt/x.pt", "cannot be written"),
    ("parity --model MODEL --recording best.pt", "best.pt"),
    ("parity --release . --recording night.edf", "--recording belongs to --model"),
]


@pytest.mark.parametrize(("command", "fault"), REFUSED)
def test_faults_are_one_sentence_and_status_2(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, fault: str
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"python -m conversion {command.split()[0]}: ")
    assert fault in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "command",
    [
        "",
        "convert",
        "import --output M",
        "import --checkpoint a --release b --output M",
        "import --checkpoint best.pt --config config.json",
        "export --model MODEL",
        "parity",
        "parity --model MODEL --windows 0",
        "parity --model MODEL --windows two",
        "parity --model MODEL --seed -1",
        "create",
    ],
)
def test_wrong_use_is_status_2(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(command)
    assert caught.value.code == 2
    assert "usage: python -m conversion" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(f"{command} --help")
    assert caught.value.code == 0
    assert f"  python -m conversion {command} --" in capsys.readouterr().out


def test_without_pytorch_help_works_and_commands_name_the_extra(tmp_path: Path) -> None:
    program = """
import sys

class NoPyTorch:
    def find_spec(self, name, *_):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)

sys.meta_path.insert(0, NoPyTorch())
from conversion.__main__ import main
from conversion.samples import Sample
try:
    main(["--help"])
except SystemExit as stop:
    assert stop.code == 0
sys.exit(main(["create", "--output", sys.argv[1]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "made")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "python -m conversion create: needs PyTorch; run pip install 'sleepfm-jax[torch]'\n"
    )
    assert not (tmp_path / "made").exists()


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("conversion.commands.create", interrupt)
    assert run("create --output x") == 130
    assert capsys.readouterr().err == "python -m conversion create: interrupted\n"
