"""Which nights a model learns from and which it is judged by: split by subject, or as published."""

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

from sleepfm_jax.errors import InputError

NAMES = ("train", "validation", "test")
FOUR = ("pretrain", *NAMES)  # of the ICML 2024 system: networks and probes learn from others
FRACTIONS = (0.8, 0.1, 0.1)
FOUR_FRACTIONS = (0.6, 0.2, 0.1, 0.1)  # validation and test are those of FRACTIONS


@dataclasses.dataclass(frozen=True)
class Splits:
    """How nights are split.

    From a seed, a hash of the subject decides: all nights of a subject go together, whatever other
    nights there are, and nights that are added move none.

    Attributes:
        seed: of the hash.
        fractions: of the subjects that train, validation and test get, or, if they are four,
            pretrain, train, validation and test; they add up to 1.
        subject: regular expression, whose first group within a night's name is the subject; None:
            every night is a subject.
        published: split of each night by its file's name without folder and suffix, instead of
            the seed.
    """

    seed: int = 0
    fractions: tuple[float, ...] = FRACTIONS
    subject: str | None = None
    published: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        fractions = self.fractions
        if len(fractions) not in (3, 4) or not all(0 <= share <= 1 for share in fractions):
            raise InputError(
                f"fractions {fractions}: give one from 0 to 1 for each of {NAMES}, or of {FOUR}"
            )
        if not math.isclose(sum(fractions), 1):
            raise InputError(f"fractions {fractions} add up to {sum(fractions):g}: make it 1")
        try:
            groups = 1 if self.subject is None else re.compile(self.subject).groups
        except re.error as error:
            raise InputError(
                f"subject {self.subject!r} is no regular expression: {error}"
            ) from error
        if not groups:
            raise InputError(f"subject {self.subject!r} has no group: put what names it in (…)")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the splits that fractions make."""
        return NAMES if len(self.fractions) == len(NAMES) else FOUR

    def subject_of(self, night: str) -> str:
        """The subject of a night.

        Args:
            night: its name.

        Raises:
            InputError: the name does not match the expression.
        """
        if self.subject is None:
            return night
        match = re.search(self.subject, night)
        if not match or not match[1]:
            raise InputError(
                f"{night} has no subject by {self.subject!r}: change the expression, or the name"
            )
        return match[1]

    def split_of(self, night: str) -> str | None:
        """The split of a night; None where the published splits do not have it.

        Args:
            night: its name.

        Raises:
            InputError: the name does not match the expression for subjects.
        """
        if self.published is not None:
            return self.published.get(Path(night).name)
        place = _place(self.seed, self.subject_of(night))
        shares = [*zip(self.names, self.fractions, strict=True)]
        for name, share in shares:
            if place < share:
                return name
            place -= share
        return next(name for name, share in reversed(shares) if share)


def _place(seed: int, subject: str) -> float:
    """From 0 to 1, evenly spread over subjects."""
    digest = hashlib.sha256(f"{seed}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def read_published(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads a split file, {split: [paths]}, as the published one.

    Args:
        path: a JSON file.

    Returns:
        The split of each night by its file's name without folder and suffix.

    Raises:
        InputError: it cannot be read, is not of that form, or has a night in two splits.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its name") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}): give {{split: [paths]}}") from error
    if not isinstance(content, dict) or not all(map(_is_list_of_paths, content.values())):
        raise InputError(f"{path} does not hold lists of paths by split: give {{split: [paths]}}")
    splits: dict[str, str] = {}
    for split, paths in content.items():
        if not re.fullmatch(r"\w+", split):
            raise InputError(f"{path}: split {split!r} is no name: use letters, digits and _")
        for night in (Path(text.replace("\\", "/")).stem for text in paths):
            if splits.setdefault(night, split) != split:
                raise InputError(
                    f"{path} has {night} in {splits[night]} and in {split}: leave it in one"
                )
    return splits


def _is_list_of_paths(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(path, str) for path in value)
