"""A label file as it lies on disk: its bytes, its text in whatever encoding, its table."""

import csv
import functools
import os
import stat
from pathlib import Path

from sleepfm_jax.errors import InputError

HEAD_BYTES = 4096
LARGEST = 1 << 26  # bytes; a night's labels as text take one or two million at most
EMPTY = "is empty: export the labels again"
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


class Document:
    """A label file; it is read when it is first asked for more than its head.

    Attributes:
        path: the file.
        head: its first bytes, up to 4096.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the file and reads its head.

        Raises:
            InputError: there is no such file, it cannot be read, or it is empty.
        """
        self.path = Path(path)
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):  # a pipe would wait for ever
                raise self.fault("is not a file: give a label file")
            with self.path.open("rb") as file:
                self.head = file.read(HEAD_BYTES)
        except OSError as error:
            raise self._unreadable(error) from error
        if not self.head.strip():
            raise self.fault(EMPTY)

    def fault(self, words: str) -> InputError:
        """An error about this file; `words` say what is wrong and what to do."""
        return InputError(f"{self.path} {words}")

    @functools.cached_property
    def content(self) -> bytes:
        """All bytes.

        Raises:
            InputError: the file cannot be read or is far too large for labels.
        """
        try:
            size = self.path.stat().st_size
            if size > LARGEST:
                raise self.fault(
                    f"has {size >> 20} MiB, too much for a night's labels: check the file"
                )
            return self.path.read_bytes()
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> InputError:
        return self.fault(f"cannot be read ({error.strerror}): check its name and your permission")

    @functools.cached_property
    def is_text(self) -> bool:
        """Whether the head reads as text: no control characters but tabs and ends of lines."""
        head = _decode(self.head)
        return all(c.isprintable() or c.isspace() or ord(c) >= 0x80 for c in head)

    @functools.cached_property
    def text(self) -> str:
        """All text: UTF-8, UTF-16 or UTF-32, and where it is none of them Latin-1."""
        return _decode(self.content)

    @functools.cached_property
    def lines(self) -> list[str]:
        """The lines of the text, without those that are blank; there is at least one.

        Raises:
            InputError: all are blank.
        """
        lines = [line for line in self.text.splitlines() if line.strip()]
        if not lines:
            raise self.fault(EMPTY)
        return lines

    def titles(self, line: int = 0) -> list[str]:
        """Titles of the table's columns, if this line has them, in lower case."""
        return _titles(self.lines[line])

    def rows(self, skip: int = 0) -> list[dict[str, str]]:
        """The table below its line of titles; fields that a row lacks are empty.

        Args:
            skip: lines before the titles.

        Raises:
            InputError: a field has no end.
        """
        names = _titles(self.lines[skip])
        fields = csv.reader(
            self.lines[skip + 1 :], delimiter=_separator(self.lines[skip]), skipinitialspace=True
        )
        try:
            return [
                dict(zip(names, [*map(str.strip, row), *[""] * len(names)], strict=False))
                for row in fields
            ]
        except csv.Error as error:
            raise self.fault(f"is a damaged table ({error}): export it again") from error


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _titles(line: str) -> list[str]:
    return [title.strip(' "').casefold() for title in line.strip("\n").split(_separator(line))]


def _decode(content: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    if content[1::2].count(0) > len(content) // 3:
        return content.decode("utf-16-le", errors="replace")
    if content[::2].count(0) > len(content) // 3:
        return content.decode("utf-16-be", errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(content) - 3 and error.reason == "unexpected end of data":
            return content[: error.start].decode("utf-8")  # a head may end within a character
        return content.decode("latin-1")
