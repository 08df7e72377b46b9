"""The flags of commands that read stored embeddings: the folder, stages, subjects and splits."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from sleepfm_jax.commands import job_flags, split_flags
from sleepfm_jax.input_pipeline.embedded_rows import Choice

_SPLITS = ("seed", "fractions", "splits")  # flags that ask for other splits than those stored


def add(parser: argparse.ArgumentParser) -> None:
    """Adds --embeddings, --output, the flags of splits, and those of draws."""
    parser.add_argument(
        "--embeddings",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that embed wrote, with any model, or one in the published layout",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for the results"
    )
    split_flags.add(parser)
    draws = parser.add_argument_group("draws")
    draws.add_argument(
        "--resamples",
        type=job_flags.count,
        default=1000,
        metavar="N",
        help="of subjects, for the intervals (default: %(default)s)",
    )
    draws.add_argument(
        "--draw-seed", type=int, default=0, metavar="N", help="of all draws (default: %(default)s)"
    )


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parses a command line; `seed`, `fractions` and `splits` are None where they are not given.

    Args:
        parser: that went through `add`.
        argv: the command line.
    """
    return parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(_SPLITS)))


def read(
    parser: argparse.ArgumentParser,
    flags: argparse.Namespace,
    rows: str | None,
    labels: Path | None = None,
) -> Choice:
    """What the flags choose of a folder: splits are those that are stored unless others are given.

    Args:
        parser: that went through `add`.
        flags: of `parse`.
        rows: "epochs", "windows" or None.
        labels: folder of label files.

    Raises:
        InputError: the flags of splits make no sense.
    """
    if all(getattr(flags, name) is None for name in _SPLITS):
        return Choice(rows, labels, subject=flags.subject)
    for name in _SPLITS:
        if getattr(flags, name) is None:
            setattr(flags, name, parser.get_default(name))
    return Choice(rows, labels, splits=split_flags.read(flags))
