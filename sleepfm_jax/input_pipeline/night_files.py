"""The nights of a folder by name, and those of one split."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.splits import Splits

log = logging.getLogger(__name__)

SUFFIXES = (".hdf5", ".h5")
SEQUENCE = "sequence"  # subfolder of the 5-s embeddings
TOLD = 10  # nights that are named one by one

Reasons = tuple[tuple[str, str], ...]


def find(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The HDF5 files of a folder, each by its path below it without suffix, in order.

    Args:
        folder: of recordings, or that `sleepfm-jax embed` made, whose 5-s embeddings are taken; it
            is searched with its subfolders, but for hidden ones.

    Raises:
        InputError: it is no folder, holds no such file, or two of one name.
    """
    folder = Path(folder)
    if (folder / SEQUENCE).is_dir():
        folder = folder / SEQUENCE
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: check its name")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if path.suffix.lower() in SUFFIXES and not any(p.startswith(".") for p in below.parts):
            name = below.with_suffix("").as_posix()
            if name in found:
                raise InputError(f"{path} has the name {name}, as has {found[name]}: remove one")
            found[name] = path
    if not found:
        raise InputError(f"no {' or '.join(SUFFIXES)} file is under {folder}: check the folder")
    return found


def of_split(
    files: Mapping[str, Path], split: str | None, splits: Splits
) -> tuple[dict[str, Path], Reasons]:
    """The nights of a split, and (night, reason) of those that have no subject or no split.

    Args:
        files: by name.
        split: such as "train"; None: the nights of all splits, and those that have none.
        splits: that decide.
    """
    chosen: dict[str, Path] = {}
    left_out = []
    for name, path in files.items():
        try:
            splits.subject_of(name)
            found = splits.split_of(name)
        except InputError as error:
            left_out.append((name, str(error)))
            continue
        if split in (None, found):
            chosen[name] = path
        elif found is None:
            left_out.append((name, "in none of the published splits"))
    return chosen, tuple(left_out)


def tell(what: str, reasons: Sequence[tuple[str, str]]) -> None:
    """Logs the first of what was left out, with reasons, and how many more there are."""
    for name, reason in reasons[:TOLD]:
        log.warning("%s: %s: %s", what, name, reason)
    if len(reasons) > TOLD:
        log.warning("%s: and %d more", what, len(reasons) - TOLD)


def none_left(folder: str | os.PathLike[str], split: str | None, left_out: Reasons) -> InputError:
    """The error where no night can be used."""
    where = f"in split {split!r} of" if split else "of those under"
    first = f"; first, {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
    return InputError(
        f"no night is left {where} {folder} ({len(left_out)} left out{first}): mend what is named, "
        "or give other nights or fractions of the splits"
    )
