"""Files that are either complete or absent: written beside their place, then renamed."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` when the block ends without an error.

    The temporary file (or folder) stands in the same folder, so the rename is atomic; parent
    folders are made. On an error it is removed and whatever stood at `path` is untouched. A folder
    that is replaced is removed with all it holds: whoever calls makes sure that it may be.

    Args:
        path: where the file shall stand.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    _remove(temporary)  # a killed process of the same number may have left it
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            _replace_folder(temporary, path)
        else:
            os.replace(temporary, path)
    finally:
        _remove(temporary)


def _replace_folder(new: Path, old: Path) -> None:
    """The old folder stays whole until the new one stands in its place."""
    aside = old.with_name(f".{old.name}.{os.getpid()}.replaced")
    _remove(aside)
    os.replace(old, aside)
    try:
        os.replace(new, old)
    except OSError:
        os.replace(aside, old)
        raise
    shutil.rmtree(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
