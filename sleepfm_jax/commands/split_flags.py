"""The flags that say how nights are split, the same in every command that splits them."""

import argparse
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.splits import FRACTIONS, Splits, read_published


def add(parser: argparse.ArgumentParser, fractions: tuple[float, ...] = FRACTIONS) -> None:
    """Adds --seed, --fractions, --subject and --splits to a command's flags.

    Args:
        parser: of the command.
        fractions: the default, three or four.
    """
    flags = parser.add_argument_group("splits")
    flags.add_argument("--seed", type=int, default=0, help="of the split (default: %(default)s)")
    flags.add_argument(
        "--fractions",
        default=",".join(map(str, fractions)),
        metavar="F,F,F",
        help="of subjects that train, validation and test get, or of four that pretrain, train, "
        "validation and test get (default: %(default)s)",
    )
    flags.add_argument(
        "--subject",
        metavar="REGEX",
        help="whose first group, in a night's name, is the subject (default: the whole name)",
    )
    flags.add_argument(
        "--splits",
        type=Path,
        metavar="JSON",
        help="{split: [paths]} instead of a seed, matched by file name; nights that it does not "
        "have are left out",
    )


def read(arguments: argparse.Namespace) -> Splits:
    """The splits that the flags ask for.

    Args:
        arguments: parsed by a parser that went through `add`.

    Raises:
        InputError: the fractions, the expression or the JSON make no sense.
    """
    return Splits(
        seed=arguments.seed,
        fractions=_fractions(arguments.fractions),
        subject=arguments.subject,
        published=None if arguments.splits is None else read_published(arguments.splits),
    )


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--fractions {text}: give three numbers or four, as in 0.8,0.1,0.1"
        ) from error
