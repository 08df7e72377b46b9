"""Whose night it is: one person of all nights, or people of a table by Study ID."""

import dataclasses
import math
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.demographics import Demographics, Encoding
from sleepfm_jax.input_pipeline.splits import Splits


@dataclasses.dataclass(frozen=True)
class Person:
    """Whose night it is.

    Attributes:
        name: Study ID, or the night's name.
        age: years.
        sex: "F" or "M".
    """

    name: str
    age: float
    sex: str


class People:
    """Who slept in each night.

    Args:
        age: years, of the one person whose nights all are; or None.
        sex: "F" or "M", of that person; or None.
        table: ages and sexes by Study ID, instead.
        subject: regular expression whose first group within a night's name is the Study ID; None:
            the night's name is, with or without its folders.

    Raises:
        InputError: the age is none, or `subject` no regular expression with a group.
    """

    def __init__(
        self,
        age: float | None = None,
        sex: str | None = None,
        table: Demographics | None = None,
        subject: str | None = None,
    ) -> None:
        self._one = None if age is None or sex is None else (age, sex)
        if self._one:
            Encoding().encode([self._one[0]], [self._one[1]])
        self._table = table
        self._splits = Splits(subject=subject)

    @property
    def known(self) -> bool:
        """Whether anything is known of anybody."""
        return self._one is not None or self._table is not None

    def of(self, night: str) -> Person:
        """The person of a night; the age is NaN and the sex empty if nothing is known of anybody.

        Raises:
            InputError: the table lacks the person, or what is known of it.
        """
        names = [night, self._splits.subject_of(night), Path(night).name]
        if self._table is None:
            age, sex = self._one or (math.nan, "")
            return Person(names[1], age, sex)
        name = next((name for name in names if name in self._table.ages), None)
        if name is not None:
            return Person(name, self._table.ages[name], self._table.sexes[name])
        left_out = dict(self._table.left_out)
        reason = next((left_out[name] for name in names if name in left_out), "not in the table")
        raise InputError(
            f"no age and sex of {names[1]}: {reason}; add them to the table of demographics"
        )
