"""The flags that say how recordings are cut into clips: by `clip`, or on the way to towers."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sleepfm_jax.input_pipeline.clip_channels import parse_named
from sleepfm_jax.input_pipeline.clips import Rule

if TYPE_CHECKING:
    from sleepfm_jax.jobs.cut_clips import HowToCut


def add(parser: argparse.ArgumentParser, title: str) -> None:
    """Adds --labels, --place and --scale to a command's flags.

    Args:
        parser: of the command.
        title: of the group that they make in its help.
    """
    flags = parser.add_argument_group(title)
    flags.add_argument(
        "--labels",
        type=Path,
        metavar="DIR",
        help="folder of label files, named as the nights (default: beside the recordings)",
    )
    flags.add_argument(
        "--place",
        metavar="LABEL=PLACE",
        action="append",
        default=[],
        help="which of a clip's nine places the channel of one label fills, or none to leave it "
        "out; may be repeated, and outweighs what labels say",
    )
    flags.add_argument(
        "--scale",
        choices=("night", "none"),
        help="night: each channel has mean 0 and deviation 1 over its clips; none: as in the file, "
        "in its unit (default: night)",
    )


def is_given(arguments: argparse.Namespace) -> bool:
    """Whether any of these flags was given."""
    return arguments.labels is not None or bool(arguments.place) or arguments.scale is not None


def read(arguments: argparse.Namespace, rule: Rule) -> "HowToCut":
    """How recordings are cut.

    Args:
        arguments: parsed by a parser that went through `add`.
        rule: which places and clips are refused.

    Raises:
        InputError: a --place cannot be understood.
    """
    places = parse_named(arguments.place)
    from sleepfm_jax.jobs.cut_clips import HowToCut  # takes a while to import

    return HowToCut(arguments.labels, arguments.scale or "night", places, rule)
