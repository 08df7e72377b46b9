"""A night's signals from whatever files they are in: EDF, BDF or a WFDB record."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import edf, wfdb_files, wfdb_recording
from sleepfm_jax.input_pipeline.edf import EdfRecording, EdfSignal
from sleepfm_jax.input_pipeline.wfdb_recording import WfdbRecording, WfdbSignal

WFDB_SUFFIX = ".hea"
WFDB_SIGNALS = (".mat", ".dat")
SUFFIXES = (".edf", ".bdf", WFDB_SUFFIX)

Recorded: TypeAlias = EdfRecording | WfdbRecording
SourceSignal: TypeAlias = EdfSignal | WfdbSignal


def open_recording(path: str | os.PathLike[str]) -> Recorded:
    """Opens a night.

    Args:
        path: an EDF or BDF file, or the header (`.hea`) of a WFDB record.

    Raises:
        InputError: there is no such file, or it is damaged or of another kind.
    """
    path = Path(path)
    if is_wfdb(path):
        return wfdb_recording.open_recording(path)
    if path.suffix.lower() in WFDB_SIGNALS and path.with_suffix(WFDB_SUFFIX).is_file():
        raise InputError(f"{path} holds the signals of a WFDB record: give its {WFDB_SUFFIX} file")
    return edf.open_recording(path)


def is_wfdb(path: Path) -> bool:
    """Whether a file is the header of a WFDB record, by its suffix."""
    return path.suffix.lower() == WFDB_SUFFIX


def files(path: Path) -> tuple[Path, ...]:
    """All files that a night consists of: of a WFDB record also those with its signals.

    Args:
        path: as for `open_recording`.
    """
    if not is_wfdb(path):
        return (path,)
    return (path, *filter(Path.is_file, map(path.parent.joinpath, wfdb_files.names(path))))


def content_hash(path: Path) -> str:
    """SHA-256 of a night's files, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for part in files(path):
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def ready(paths: Iterable[Path]) -> None:
    """Imports what reading these files takes; threads that read them then import nothing.

    Args:
        paths: as for `open_recording`.
    """
    if any(map(is_wfdb, paths)):
        import wfdb  # noqa: F401
