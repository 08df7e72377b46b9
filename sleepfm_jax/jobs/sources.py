"""Which nights a job is given: files and folders to a list of nights, each with its own name.

And how a later run tells that a night is the same as before, without keeping dates or folders.
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import source_files
from sleepfm_jax.input_pipeline.montage import Montage

SIGNAL_SUFFIXES = source_files.SUFFIXES
RECORDING_SUFFIXES = (".hdf5", ".h5")


@dataclasses.dataclass(frozen=True)
class Source:
    """A night's file.

    Attributes:
        path: the file.
        name: what a job calls its output: the file's name without suffix, below the subfolders of
            the folder that was given.
        rival: an earlier file of the same name, if there is one; the job must refuse this one.
    """

    path: Path
    name: str
    rival: Path | None = None

    def refuse_rival(self) -> None:
        """Raises an InputError if an earlier night has the same name."""
        if self.rival:
            raise InputError(
                f"{self.path} would take the name {self.name}, which {self.rival} has: give it a "
                "different --output"
            )


def find(
    paths: Iterable[str | os.PathLike[str]], suffixes: tuple[str, ...] = SIGNAL_SUFFIXES
) -> list[Source]:
    """All nights at and under `paths`; in folders hidden files and other suffixes are passed over.

    Args:
        paths: files of any suffix, and folders that are searched with their subfolders.
        suffixes: of files in folders, in lower case.

    Raises:
        InputError: a path does not exist, or there is no night.
    """
    given = [Path(path) for path in paths]
    first: dict[str, Path] = {}
    sources: list[Source] = []
    for path, name in (night for start in given for night in _under(start, suffixes)):
        rival = first.setdefault(name, path)
        if rival is path:
            sources.append(Source(path, name))
        elif not rival.samefile(path):
            sources.append(Source(path, name, rival))
    if not sources:
        kinds = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise InputError(f"no {kinds} file under {', '.join(map(str, given))}: check the folder")
    source_files.ready(source.path for source in sources)
    return sources


def place(path: Path) -> str:
    """Tells files of the same name apart; too short to guess folders (which may be names) from."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]


def state(path: Path) -> str:
    """Changes whenever the night's files do, for all we can tell unread; tells no date."""
    states = [file.stat() for file in source_files.files(path)]
    told = " ".join(f"{state.st_size} {state.st_mtime_ns}" for state in states)
    return hashlib.sha256(told.encode()).hexdigest()


def montage_digest(montage: Montage, *more: object) -> str:
    """Changes whenever the choice of channels does, or any of `more`."""
    rules = (
        *more,
        sorted(montage.caps.items()),
        montage.groups and sorted((m, tuple(labels)) for m, labels in montage.groups.items()),
        list(montage.named.items()),
    )
    return hashlib.sha256(repr(rules).encode()).hexdigest()


def _under(path: Path, suffixes: tuple[str, ...]) -> list[tuple[Path, str]]:
    """Files at or under `path`, each with its name relative to the folder that was given."""
    if path.is_dir():
        inside = [file.relative_to(path) for file in sorted(path.rglob("*"))]
        return [
            (path / file, str(file.with_suffix("")))
            for file in inside
            if file.suffix.lower() in suffixes
            and not any(part.startswith(".") for part in file.parts)
            and (path / file).is_file()
        ]
    if path.exists():
        return [(path, path.stem)]
    raise InputError(f"{path} does not exist: check the name")
