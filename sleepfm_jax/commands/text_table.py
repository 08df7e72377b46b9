"""A table on the screen: columns as wide as they must be."""

from collections.abc import Sequence


def lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, the first column to the left and the others to the right.

    Args:
        header: of the columns.
        rows: cells.

    >>> lines(["stage", "AUROC"], [["Wake", "0.91"], ["N1", "0.7"]])
    ['stage  AUROC', 'Wake    0.91', 'N1       0.7']
    """
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def number(value: float, limits: tuple[float, float] = (float("nan"),) * 2, digits: int = 3) -> str:
    """A number with its interval, as "0.910 (0.850 to 0.950)"; "none" where it is not known.

    Args:
        value: the number.
        limits: of its interval; NaN: none is told.
        digits: after the point.
    """
    if value != value:
        return "none"
    low, high = limits
    interval = f" ({low:.{digits}f} to {high:.{digits}f})" if low == low else ""
    return f"{value:.{digits}f}{interval}"
