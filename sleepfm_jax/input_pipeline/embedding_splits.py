"""Whose stored embeddings are, and of which split: as stored with them, or as a user says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.embedding_files import Description
from sleepfm_jax.input_pipeline.splits import Splits


class Whose(NamedTuple):
    """Of a night.

    Attributes:
        subject: whose it is.
        split: that it is in; None: in none.
    """

    subject: str
    split: str | None


def subjects_and_splits(
    folder: Path, files: Mapping[str, Description], splits: Splits | None, subject: str | None
) -> dict[str, Whose]:
    """Of each night, as asked for or as stored.

    Args:
        folder: of the nights.
        files: by the night's name.
        splits: how nights are split and whose they are; None: as stored, or where that is not
            told, by the default fractions from seed 0.
        subject: regular expression that goes before what is stored; not beside `splits`.

    Raises:
        InputError: a night has no subject by the expression, or some nights tell their split and
            others do not.
    """
    if splits is not None:
        return {name: Whose(splits.subject_of(name), splits.split_of(name)) for name in files}
    told = {name for name, file in files.items() if file.split}
    if told and len(told) < len(files):
        other = next(name for name in files if name not in told)
        raise InputError(
            f"{folder} tells the split of {min(told)} but not of {other}: give the splits "
            "of all nights by --seed, --fractions or --splits"
        )
    default = Splits(subject=subject)
    found = {}
    for name, file in files.items():
        stored = file.subject if subject is None else None
        found[name] = Whose(
            stored or default.subject_of(name), file.split or default.split_of(name)
        )
    return found


def nights_of(folder: Path, whose: Mapping[str, Whose], splits: Sequence[str]) -> list[str]:
    """The nights of some splits, one split after the other.

    Args:
        folder: of the nights.
        whose: each night is, and its split.
        splits: that are wanted.

    Raises:
        InputError: a split has no night, or a subject is in two splits.
    """
    _refuse_shared_subjects(whose)
    taken = []
    for split in splits:
        nights = [name for name, night in whose.items() if night.split == split]
        if not nights:
            there = ", ".join(sorted({night.split for night in whose.values() if night.split}))
            raise InputError(
                f"no night of {folder} is in split {split!r}; there are {there or 'none'}: name "
                "one of these, or give other splits"
            )
        taken += nights
    return taken


def _refuse_shared_subjects(whose: Mapping[str, Whose]) -> None:
    first: dict[str, tuple[str, str]] = {}
    for name, (subject, split) in whose.items():
        if split is None:
            continue
        known, where = first.setdefault(subject, (split, name))
        if known != split:
            raise InputError(
                f"subject {subject} is in split {known} (night {where}) and in {split} (night "
                f"{name}), so that results would be too good: split by subject"
            )
