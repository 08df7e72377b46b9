"""The words and numbers in the fixed-width fields of an EDF header."""

import re

LARGEST = 1e30  # no physical limit is larger; float32 ends at 3e38

_INTEGER = re.compile(r"[+-]?[0-9]+(\.0*)?")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class EdfError(Exception):
    """What is wrong with a file and what to do, in words that follow the file's name."""


def text(field: bytes) -> str:
    """Reads a word: UTF-8 where it is, else Latin-1.

    Args:
        field: the bytes; what follows a NUL is padding.

    Returns:
        the word, stripped, characters that cannot be printed replaced.
    """
    field = field.split(b"\0")[0].strip()
    try:
        word = field.decode("utf-8")
    except UnicodeDecodeError:
        word = field.decode("latin-1")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in word).strip()


def integer(field: bytes, name: str, least: int | None = 0) -> int:
    """Reads a whole number.

    Args:
        field: the bytes.
        name: what the number is, for the error.
        least: the smallest value that can be right; None for any.

    Raises:
        EdfError: the field holds no whole number, or one below `least`.
    """
    word = text(field)
    if not _INTEGER.fullmatch(word) or (least is not None and int(word.split(".")[0]) < least):
        raise EdfError(f"has {word!r} as its {name}: export it again")
    return int(word.split(".")[0])


def decimal(field: bytes, name: str) -> float:
    """Reads a number, with a point or a comma.

    Args:
        field: the bytes.
        name: what the number is, for the error.

    Raises:
        EdfError: the field holds no number, or one beyond any measurement.
    """
    word = text(field).replace(",", ".")  # some exporters write the decimal mark of their country
    if not _DECIMAL.fullmatch(word) or not abs(float(word)) <= LARGEST:
        raise EdfError(f"has {word!r} as its {name}: export it again")
    return float(word)
