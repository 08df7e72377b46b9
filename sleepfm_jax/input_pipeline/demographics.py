"""Age and sex of subjects, and the two numbers that the disease models take for them (spec §3)."""

import dataclasses
import logging
import math
import os
from collections.abc import Sequence

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import subject_tables

log = logging.getLogger(__name__)

OLDEST = 120.0  # years
_SEXES = {
    **dict.fromkeys(("f", "female", "woman", "0", "0.0"), "F"),
    **dict.fromkeys(("m", "male", "man", "1", "1.0"), "M"),
}
_UNKNOWN = ("", "na", "nan", "none", "unknown", "u", "?")


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How age and sex become numbers.

    The default is what derivatives of the published code read from its demonstration; nothing in
    the paper confirms it.

    Attributes:
        age_divisor: years that become 1.
        female: of women.
        male: of men.
    """

    age_divisor: float = 98.0
    female: float = 0.0
    male: float = 1.0

    def __post_init__(self) -> None:
        numbers = (self.age_divisor, self.female, self.male)
        if not all(map(math.isfinite, numbers)) or self.age_divisor <= 0:
            raise InputError(f"{self} encodes no age and sex: give numbers, the divisor above 0")
        if self.female == self.male:
            raise InputError(f"{self} makes women and men the same: give two different numbers")

    def encode(self, ages: Sequence[float] | np.ndarray, sexes: Sequence[str]) -> np.ndarray:
        """Ages and sexes as the models take them.

        Args:
            ages: (N,) years.
            sexes: (N,) such as "F" and "M".

        Returns:
            (N, 2) float32, age and sex.

        Raises:
            InputError: an age or a sex is none.
        """
        wrong = [age for age in ages if not 0 <= age <= OLDEST]
        if wrong:
            raise InputError(f"{wrong[0]} is no age in years: give 0 to {OLDEST:g}")
        numbers = {"F": self.female, "M": self.male}
        rows = [
            (age / self.age_divisor, numbers[sex_of(sex)])
            for age, sex in zip(ages, sexes, strict=True)
        ]
        return np.array(rows, np.float32).reshape(-1, 2)  # (N, 2)


def sex_of(text: str) -> str:
    """A sex as "F" or "M".

    Args:
        text: F or M, female or male, 0 (female) or 1 (male); the case does not matter.

    Raises:
        InputError: it is none of these.
    """
    try:
        return _SEXES[text.strip().lower()]
    except KeyError:
        raise InputError(f"{text!r} is no sex: give F or M") from None


@dataclasses.dataclass(frozen=True)
class Demographics:
    """Age and sex of subjects.

    Attributes:
        ages: years, by subject.
        sexes: "F" or "M", by subject.
        left_out: (subject, reason) of those whose age or sex is not known.
    """

    ages: dict[str, float]
    sexes: dict[str, str]
    left_out: tuple[tuple[str, str], ...] = ()

    def encode(self, subjects: Sequence[str], encoding: Encoding) -> np.ndarray:
        """(N, 2) float32 of subjects that are all in the table."""
        return encoding.encode([self.ages[s] for s in subjects], [self.sexes[s] for s in subjects])


def read_demographics(path: str | os.PathLike[str]) -> Demographics:
    """Reads a table with the columns `Study ID`, `age` (years) and `gender` (or `sex`).

    A subject whose age or sex is empty or makes no sense is left out and logged.

    Args:
        path: a CSV file; sexes are F and M, female and male, or 0 (female) and 1 (male).

    Raises:
        InputError: the table cannot be read, lacks a column, or codes sex by other numbers, which
            could mean anything; or nobody is left.
    """
    table = subject_tables.read(path)
    ages, sexes = table.column("age"), table.column("gender", "sex")
    codes = sorted({text for text in sexes.values() if _is_number(text)} - set(_SEXES))
    if codes:
        raise InputError(
            f"{path} codes sex as {', '.join(codes)}, which may mean either: write F and M"
        )
    reasons = {s: _fault(ages[s], sexes[s]) for s in table.rows}
    known = [subject for subject, reason in reasons.items() if not reason]
    left_out = tuple((subject, reason) for subject, reason in reasons.items() if reason)
    for subject, reason in left_out:
        log.warning("%s: %s is left out: %s", path, subject, reason)
    if not known:
        raise InputError(f"{path} has age and sex of nobody ({left_out[0][1]}): mend the table")
    return Demographics(
        {s: float(ages[s]) for s in known}, {s: sex_of(sexes[s]) for s in known}, left_out
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _fault(age: str, sex: str) -> str | None:
    """Why these are no age and sex."""
    if age.lower() in _UNKNOWN or sex.lower() in _UNKNOWN:
        return "age or sex is not known"
    if not _is_number(age) or not 0 <= float(age) <= OLDEST:
        return f"age {age!r} is not 0 to {OLDEST:g} years"
    if sex.lower() not in _SEXES:
        return f"gender {sex!r} is none of F, M, female, male, 0 (female), 1 (male)"
    return None
