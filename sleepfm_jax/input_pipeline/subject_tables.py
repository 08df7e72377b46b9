"""CSV tables with a row a subject, keyed by `Study ID` as the published ones (spec §4)."""

import csv
import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from sleepfm_jax.errors import InputError

KEY = "Study ID"
DELIMITERS = ",;\t"
_UNNAMED = re.compile(r"(Unnamed: \d+)?")  # what pandas writes for its row numbers


@dataclasses.dataclass(frozen=True)
class SubjectTable:
    """A table as text, its cells stripped.

    Attributes:
        path: the file.
        columns: names, without the key and without columns that have no name.
        rows: cells of each subject, one a column, in the order of the file.
    """

    path: Path
    columns: tuple[str, ...]
    rows: dict[str, list[str]]

    def column(self, *names: str) -> dict[str, str]:
        """One column by subject.

        Args:
            names: any of which it may have, whatever the case.

        Raises:
            InputError: it is not there.
        """
        for place, name in enumerate(self.columns):
            if name.lower() in names:
                return {subject: cells[place] for subject, cells in self.rows.items()}
        raise InputError(
            f"{self.path} has no column {names[0]!r} but {some(self.columns)}: add it, or give "
            "another table"
        )


def read(path: str | os.PathLike[str]) -> SubjectTable:
    """Reads a table; commas, semicolons or tabs part its cells.

    Args:
        path: a CSV file in UTF-8.

    Raises:
        InputError: it cannot be read, has no column `Study ID`, two columns or two subjects of one
            name, a row of another length, a subject without a name, or no row at all.
    """
    path = Path(path)
    (_, header), *lines = _lines(path)
    keys = [place for place, name in enumerate(header) if _bare(name) == _bare(KEY)]
    if len(keys) != 1:
        raise InputError(
            f"{path} has {len(keys)} columns {KEY!r} among {some(header)}: give a table with one"
        )
    (key,) = keys
    kept = [p for p, name in enumerate(header) if p != key and not _UNNAMED.fullmatch(name)]
    columns = tuple(header[place] for place in kept)
    _refuse_repeated(path, "column", columns)
    for number, cells in lines:
        if len(cells) != len(header) or not cells[key]:
            raise InputError(
                f"{path}, line {number} has {len(cells)} cells for {len(header)} columns, or no "
                f"{KEY}: mend it or remove it"
            )
    _refuse_repeated(path, KEY, (cells[key] for _, cells in lines))
    if not lines:
        raise InputError(f"{path} holds no subject: give a table with a line for each")
    return SubjectTable(
        path, columns, {cells[key]: [cells[place] for place in kept] for _, cells in lines}
    )


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many there are, for people."""
    if len(names) <= most:
        return ", ".join(map(repr, names)) or "none"
    return f"{', '.join(map(repr, names[:most]))}, … ({len(names)})"


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells of all lines that hold something; the first is the header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            delimiter = max(DELIMITERS, key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}): give a CSV file in UTF-8") from error
    lines = [(number, cells) for number, cells in lines if any(cells)]
    if not lines:
        raise InputError(f"{path} is empty: give a table with a column {KEY!r}")
    return lines


def _bare(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _refuse_repeated(path: Path, what: str, names: Iterable[str]) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise InputError(f"{path} has the {what} {some(repeated)} more than once: keep one of each")
