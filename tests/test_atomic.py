"""Files and folders appear complete or not at all, and nothing is left beside them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sleepfm_jax.atomic import replacing


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "night.hdf5"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent  # the same disk, or the rename would be a copy
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["deep", "deep/er", "deep/er/night.hdf5"]


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "night.hdf5"
    path.write_text("old")
    with replacing(str(path)) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["night.hdf5"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("stood", [True, False])
@pytest.mark.parametrize("folder", [True, False])
def test_an_error_leaves_what_was_there(
    error: type[BaseException], stood: bool, folder: bool, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    if stood:
        fill(path, folder, "old")
    before = names(tmp_path)

    def write() -> None:
        with replacing(path) as temporary:
            fill(temporary, folder, "new")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == before
    if stood:
        assert (path / "weights" if folder else path).read_text() == "old"


def fill(path: Path, folder: bool, text: str) -> None:
    if folder:
        path.mkdir()
        path = path / "weights"
    path.write_text(text)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            fill(temporary, True, text)
            (temporary / text).mkdir()
    assert names(tmp_path) == ["model", "model/new", "model/weights"]
    assert (path / "weights").read_text() == "new"


def test_a_folder_that_cannot_take_its_place_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    fill(path, True, "old")
    rename = os.replace

    def only_aside(source: Path, target: Path) -> None:
        if source.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    def write() -> None:
        with replacing(path) as temporary:
            fill(temporary, True, "new")
            monkeypatch.setattr(os, "replace", only_aside)

    with pytest.raises(OSError, match="No space left"):
        write()
    assert (path / "weights").read_text() == "old"
    assert names(tmp_path) == ["model", "model/weights"]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "results"
    fill(path, True, "precious")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("file")

    with pytest.raises(IsADirectoryError):
        write()
    assert names(tmp_path) == ["results", "results/weights"]
    assert (path / "weights").read_text() == "precious"


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "night.hdf5"
    path.write_text("old")
    code = f"""
import os, signal
from sleepfm_jax.atomic import replacing
with replacing({str(path)!r}) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert path.read_text() == "old"


def test_what_a_killed_process_left_is_not_in_the_way(tmp_path: Path) -> None:
    """Process numbers come again, in containers soon."""
    path = tmp_path / "model"
    fill(path, True, "old")
    for suffix in ("partial", "replaced"):
        fill(tmp_path / f".model.{os.getpid()}.{suffix}", True, "half")
    with replacing(path) as temporary:
        fill(temporary, True, "new")
    assert names(tmp_path) == ["model", "model/weights"]
    assert (path / "weights").read_text() == "new"
