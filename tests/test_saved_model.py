"""A model folder: what is saved is loaded, what is damaged is refused, what is not ours stays."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.saved_model import SavedModel, load, save

SMALL = FoundationConfig(
    embed_dim=8, num_heads=2, num_layers=1, pooling_heads=4, feed_forward=16, max_patches=6
)


def some_model(seed: int = 0) -> SavedModel:
    """Not a network: saving and loading must keep any arrays."""
    rng = np.random.default_rng(seed)
    weights = {
        "layers.0.up.kernel": rng.standard_normal((8, 16)).astype(np.float32),
        "layers.0.up.bias": np.array([0.0, -0.0, np.nan, np.inf, 1e-45], np.float32),
        "double": rng.standard_normal(3),
        "count": np.array(2**31 - 1, np.int32),
        "temperature": np.float32(0.25).reshape(()),
    }
    return SavedModel(SMALL, weights, {"training": {"epoch": seed}, "ß": [None, 0.1]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "model", some_model())
    return tmp_path / "model"


def assert_same(one: SavedModel, other: SavedModel) -> None:
    assert one.config == other.config
    assert one.provenance == other.provenance
    assert set(one.weights) == set(other.weights)
    for name, array in one.weights.items():
        assert array.dtype == other.weights[name].dtype
        assert array.shape == other.weights[name].shape
        assert array.tobytes() == other.weights[name].tobytes(), name


def refusal(path: Path) -> str:
    """The sentence with which a folder is refused: its name, the fault, the way out."""
    with pytest.raises(InputError) as caught:
        load(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    assert "; " in sentence
    return sentence


def test_what_is_saved_is_loaded_bit_for_bit(folder: Path) -> None:
    assert_same(load(folder), some_model())
    assert sorted(entry.name for entry in folder.iterdir()) == ["config.json", "weights"]
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["model"]


def test_relative_paths_and_new_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("models/base", some_model())
    assert_same(load("models/base"), some_model())


def test_a_model_replaces_a_model(folder: Path) -> None:
    save(folder, some_model(1))
    assert_same(load(folder), some_model(1))
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["model"]


def test_a_link_stays_and_its_target_is_replaced(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    save(link, some_model(1))
    assert link.is_symlink()
    assert_same(load(folder), some_model(1))


def test_the_content_hash_tells_models_apart() -> None:
    model = some_model()
    changed = {**model.weights, "double": np.nextafter(model.weights["double"], 9)}
    renamed = {("more" if name == "double" else name): a for name, a in model.weights.items()}
    reshaped = {**model.weights, "layers.0.up.kernel": np.zeros((16, 8), np.float32)}
    other_heads = dataclasses.replace(SMALL, num_heads=4)
    others = [
        dataclasses.replace(model, weights=changed),
        dataclasses.replace(model, weights=renamed),
        dataclasses.replace(model, weights=reshaped),
        dataclasses.replace(model, config=other_heads),
    ]
    assert len({m.content_hash for m in [model, *others]}) == 5
    assert dataclasses.replace(model, provenance={}).content_hash == model.content_hash


def test_every_flipped_byte_of_the_weights_is_found(folder: Path) -> None:
    files = [path for path in (folder / "weights").rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        for place in {0, len(content) // 3, len(content) // 2, len(content) - 1}:
            damaged = bytearray(content)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            assert str(path) in refusal(folder)
        path.write_bytes(content)
    assert_same(load(folder), some_model())


def test_truncated_missing_and_foreign_files_are_found(folder: Path) -> None:
    for path in [path for path in (folder / "weights").rglob("*") if path.is_file()]:
        content = path.read_bytes()
        for length in {0, len(content) // 2, len(content) - 1}:
            path.write_bytes(content[:length])
            assert str(path) in refusal(folder)
        path.unlink()
        assert str(path) in refusal(folder)
        path.write_bytes(content)
    (folder / "weights" / "more").write_bytes(b"")
    assert str(folder / "weights" / "more") in refusal(folder)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "weights")
    assert "import or copy the model again" in refusal(folder)


def change(**changes: object) -> Callable[[Path], object]:
    def apply(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return apply


def change_config(**changes: object) -> Callable[[Path], object]:
    def apply(path: Path) -> None:
        change(config=json.loads(path.read_text())["config"] | changes)(path)

    return apply


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: f.unlink(), "python -m conversion import"),
    (lambda f: f.write_bytes(b""), "cannot be read"),
    (lambda f: os.truncate(f, 100), "cannot be read"),
    (lambda f: f.write_bytes(b"\xff\xfe" + f.read_bytes()), "cannot be read"),
    (lambda f: f.write_text('["SetTransformer"]'), "does not describe a sleepfm-jax model"),
    (lambda f: f.write_text('{"model": "SetTransformer"}'), "python -m conversion import"),
    (change(format=2), "has model format 2, this version reads 1; update sleepfm-jax"),
    (change(format=None), "has model format None"),
    (change(config=None), "lacks config"),
    (change(files=[], config=3), "lacks config and files"),
    (change(sha256="0"), "has been changed"),
    (change_config(width=3), "lack or add width"),
    (change_config(num_heads=4), "has been changed"),
    (change_config(num_layers=0), "has been changed"),
    (change_config(embed_dim="8"), "has been changed"),
]


@pytest.mark.parametrize(("damage", "fault"), DAMAGES)
def test_damaged_descriptions_are_refused(
    folder: Path, damage: Callable[[Path], object], fault: str
) -> None:
    damage(folder / "config.json")
    assert fault in refusal(folder)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    assert "no model is here" in refusal(tmp_path)
    assert "no model is here" in refusal(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    assert "cannot be read" in refusal(tmp_path / "file")


def test_weights_of_another_size_are_not_built(folder: Path) -> None:
    with pytest.raises(InputError, match=r"do not fit its configuration .*; import it again"):
        saved_model.build(load(folder))


def occupied(path: Path, name: str, content: str = "mine") -> Path:
    path.mkdir(exist_ok=True)
    (path / name).write_text(content)
    return path


OTHERS: list[Callable[[Path], Path]] = [
    lambda p: occupied(p / "thesis", "chapter.tex"),
    lambda p: occupied(p / "published", "config.json", '{"model": "SetTransformer"}'),
    lambda p: occupied(p / "broken", "config.json", "{"),
    lambda p: occupied(p / "model", "notes.txt"),
    lambda p: occupied(p, "file") / "file",
    lambda p: p,
]


@pytest.mark.parametrize("place", OTHERS)
def test_nothing_but_a_model_is_ever_replaced(folder: Path, place: Callable[[Path], Path]) -> None:
    path = place(folder.parent)

    def everything() -> dict[str, bytes | None]:
        return {
            str(entry): entry.read_bytes() if entry.is_file() else None
            for entry in folder.parent.rglob("*")
        }

    before = everything()
    with pytest.raises(InputError, match=r"stands there already .* nothing was changed"):
        save(path, some_model(1))
    assert everything() == before


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    save(tmp_path / "model", some_model())
    assert_same(load(tmp_path / "model"), some_model())


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failing_rename_leaves_the_previous_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Whether the old folder cannot be moved aside or the new one not into its place."""
    renames = []
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(source).parent == folder.parent:
            renames.append(source)
            if len(renames) == failing:
                raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"No space left on device.*; free some space"):
        save(folder, some_model(1))
    assert_same(load(folder), some_model())
    assert [entry.name for entry in folder.parent.iterdir()] == ["model"]


SAVING_ON_A_FULL_DISK = """
    import resource, sys
    from sleepfm_jax.errors import InputError
    from tests.test_saved_model import save, some_model
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
    try:
        save(sys.argv[1], some_model(1))
    except InputError as error:
        print(error)
"""
KILLED_BEFORE_THE_RENAME = """
    import os, signal, sys
    from tests.test_saved_model import save, some_model
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    save(sys.argv[1], some_model(1))
"""
KILLED_WHILE_WRITING = """
    import os, signal, sys, threading, time
    from tests.test_saved_model import save, some_model
    from pathlib import Path

    def kill_once_weights_appear():
        folder = Path(sys.argv[1]).parent
        while not any(path.name.startswith("weights") for path in folder.glob(".*/*")):
            time.sleep(1e-4)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=kill_once_weights_appear, daemon=True).start()
    save(sys.argv[1], some_model(1))
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(folder)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_full_disk_leaves_the_previous_model(folder: Path) -> None:
    done = run(SAVING_ON_A_FULL_DISK, folder)
    assert "the model cannot be written" in done.stdout
    assert "free some space or choose another folder" in done.stdout
    assert_same(load(folder), some_model())


@pytest.mark.parametrize("program", [KILLED_BEFORE_THE_RENAME, KILLED_WHILE_WRITING])
def test_a_killed_save_leaves_the_previous_model(folder: Path, program: str) -> None:
    assert run(program, folder).returncode == -9
    assert_same(load(folder), some_model())
    save(folder, some_model(1))
    assert_same(load(folder), some_model(1))


def test_a_runs_work_directory_gives_its_model(tmp_path: Path) -> None:
    """Also through a link; a model folder itself comes first."""
    save(tmp_path / "run" / "model", some_model())
    assert_same(load(tmp_path / "run"), some_model())
    (tmp_path / "run" / "checkpoints").mkdir()
    assert_same(load(tmp_path / "run"), some_model())
    (tmp_path / "link").symlink_to(tmp_path / "run")
    assert_same(load(tmp_path / "link"), some_model())
    (tmp_path / "run" / "model" / "checkpoints").mkdir()
    save(tmp_path / "other", some_model(1))
    shutil.copytree(tmp_path / "other", tmp_path / "run" / "model" / "model")
    assert (load(tmp_path / "run" / "model")).provenance == some_model().provenance


def test_a_run_without_a_model_yet_says_what_to_wait_for(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "5").mkdir(parents=True)
    assert "this run has no model yet, its first checkpoint writes it; wait" in refusal(tmp_path)


def test_damage_to_a_runs_model_is_named_within_it(tmp_path: Path) -> None:
    save(tmp_path / "model", some_model())
    (tmp_path / "checkpoints").mkdir()
    files = filter(Path.is_file, (tmp_path / "model" / "weights").rglob("*"))
    path = max(files, key=lambda file: file.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(tmp_path).startswith(str(path))
