"""The names of phecodes in the order of a model's outputs: `label_idx, phecode, phenotype`."""

import csv
import os
from pathlib import Path

from sleepfm_jax.errors import InputError


def read_label_mapping(path: str | os.PathLike[str]) -> tuple[tuple[str, str], ...]:
    """Reads the names of phecodes, a table `label_idx, phecode, phenotype`.

    Args:
        path: a CSV file.

    Returns:
        (phecode, phenotype) by label_idx.

    Raises:
        InputError: it cannot be read, lacks a column, its indices are not 0, 1, 2, …, or a
            phecode comes twice.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = sorted(
                (int(row["label_idx"]), row["phecode"].strip(), row["phenotype"].strip())
                for row in csv.DictReader(file)
            )
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a label mapping") from error
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise InputError(
            f"{path} is no label mapping ({type(error).__name__}: {error}): it needs the columns "
            "label_idx (a whole number), phecode and phenotype"
        ) from error
    indices = [index for index, _, _ in rows]
    codes = {phecode for _, phecode, _ in rows}
    if not rows or indices != list(range(len(rows))) or len(codes) != len(rows) or "" in codes:
        raise InputError(
            f"{path} does not number its labels 0, 1, 2, … or repeats a phecode: mend it"
        )
    return tuple((phecode, phenotype) for _, phecode, phenotype in rows)
