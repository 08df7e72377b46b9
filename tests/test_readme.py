"""Every command of the README, run as written by a stranger with a folder of nights."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.input_pipeline.simulate import simulate_night, write_edf, write_stages
from sleepfm_jax.models.foundation import FoundationConfig
from tests import command_lines
from tests.conversion import published

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


SMALL = FoundationConfig(num_heads=2, num_layers=1, pooling_heads=2, feed_forward=32)
QUICK = {
    " parity ": " --windows 1",  # as many as the night has: both are compiled at once
    " pretrain ": " --config.steps=2 --config.batches.batch_size=2 --config.batches.slots=4"
    " --config.data.validation= --config.model.num_layers=1",
    " probe ": " --splits judged.json --resamples 50",
    " retrieve ": " --resamples 50",
    " finetune ": " --config.steps=2 --config.batches.batch_size=2 --config.model.num_layers=1"
    " --config.model.feed_forward=32 --config.data.validation= --config.data.splits=splits.json",
}
# The README tells first what to do and later how to get the model.
ORDER = {"evaluate": 4, " stage ": 3, " risk ": 3, "finetune": 2, "conversion": 0, "": 1}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short nights, labels of them, and a small checkpoint in the published layout."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "nights").mkdir()
    for number, name in enumerate(("first", "second")):
        night = simulate_night(seed=1, night=number, hours=0.1)
        write_edf(folder / "nights" / f"{name}.edf", night)
        (folder / "stages").mkdir(exist_ok=True)
        write_stages(folder / "stages" / f"{name}.csv", night.stages)
    shutil.copy(folder / "nights" / "first.edf", folder / "night.edf")
    write_tables(folder / "tables")
    (folder / "splits.json").write_text('{"train": ["first", "second"]}')
    (folder / "judged.json").write_text('{"train": ["first"], "test": ["second"]}')
    published.write(folder, config=SMALL)
    return folder


def write_tables(folder: Path) -> None:
    folder.mkdir()
    (folder / "is_event.csv").write_text("Study ID,327.3,401.1\nnight,1,0\nfirst,1,1\nsecond,0,1\n")
    (folder / "time_to_event.csv").write_text(
        "Study ID,327.3,401.1\nnight,300,900\nfirst,200,1000\nsecond,900,700\n"
    )
    (folder / "demographics.csv").write_text(
        "Study ID,age,gender\nnight,54,F\nfirst,54,F\nsecond,31,M\n"
    )


def as_a_user(lines: list[str]) -> list[str]:
    """In the order of use: the README tells first what to do, later how to get the model."""
    order = sorted(lines, key=lambda line: next(n for words, n in ORDER.items() if words in line))
    return [line + next((f for words, f in QUICK.items() if words in line), "") for line in order]


def test_commands_run_as_written(folder: Path) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines() if line]
    assert any("embed" in line for line in lines)
    (code,) = blocks("python")
    command_lines.run(folder, [*as_a_user(lines), f"python -c {shlex.quote(code)}"])
    assert (folder / "trained" / "pooled" / "first.hdf5").exists()
    names = {path.name for path in (folder / "pictures").iterdir()}
    assert names == {"first.png", "second.png"}
    assert (folder / "staged" / "second_hypnogram.edf").exists()
    assert (folder / "risks" / "night.csv").exists()
    for results in ("stages/metrics.csv", "probe/few_shot.png", "retrieval/retrieval.csv"):
        assert (folder / "results" / results).exists()


def test_promised_numbers_of_rows(folder: Path) -> None:
    from sleepfm_jax.input_pipeline import embeddings

    night = embeddings.read(folder / "embeddings", "first")
    assert {rows.shape for rows in night.sequence.values()} == {(72, 128)}
    assert {rows.shape for rows in night.pooled.values()} == {(2, 128)}
    assert all(np.isfinite(rows).all() for rows in night.sequence.values())


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
