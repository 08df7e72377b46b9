"""One run at a time in a work directory; what a killed one left half done is cleared away."""

import contextlib
import errno
import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax

from sleepfm_jax.errors import InputError

log = logging.getLogger(__name__)

LOCK = ".lock"  # held through the operating system, which frees it however a run ends
LEFT = re.compile(r"\.(.+)\.\d+\.(partial|replaced)")  # of `atomic.replacing`


@contextlib.contextmanager
def occupied(workdir: Path) -> Iterator[None]:
    """Within the block, no other run may use the work directory; it is made if it is not there.

    Of several processes the first one looks after it.

    Args:
        workdir: the run's folder.

    Raises:
        InputError: another run is using it, or it cannot be written to.
    """
    if jax.process_index() != 0:
        yield
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / LOCK).open("a")
    except OSError as error:
        raise InputError(
            f"{workdir} cannot be written to ({error.strerror}): give another --workdir"
        ) from error
    with lock:
        _hold(lock.fileno(), workdir)
        _clear(workdir)
        yield


def _hold(lock: int, workdir: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise InputError(
                f"{workdir} is being used by another run: wait until it ends, or give another "
                "--workdir"
            ) from error
        log.warning(
            "%s: this file system has no locks (%s); see that no other run uses it",
            workdir,
            error.strerror,
        )


def _clear(workdir: Path) -> None:
    """Puts back what a killed run had moved aside, and removes what it had not finished."""
    for entry in sorted(workdir.iterdir()):
        found = LEFT.fullmatch(entry.name)
        if not found:
            continue
        name, kind = found.groups()
        if kind == "replaced" and not (workdir / name).exists():
            os.replace(entry, workdir / name)
        elif entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
