"""The flags that say how recordings are cut into clips on the way to a model of clips."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sleepfm_jax.input_pipeline.clip_channels import parse_named
from sleepfm_jax.input_pipeline.clips import Rule

if TYPE_CHECKING:
    from sleepfm_jax.jobs.cut_clips import HowToCut


def add(parser: argparse.ArgumentParser) -> None:
    """Adds --labels, --place and --scale to a command's flags."""
    flags = parser.add_argument_group("clips, which towers embed, of recordings")
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
        help="which of a clip's nine places one channel fills, or none; as in `clip`",
    )
    flags.add_argument(
        "--scale",
        choices=("night", "none"),
        help="of channels, as the clips had that the towers were trained on (default: night)",
    )


def read(arguments: argparse.Namespace) -> "HowToCut | None":
    """How recordings are cut; None where the flags say nothing.

    Args:
        arguments: parsed by a parser that went through `add`.

    Raises:
        InputError: a --place cannot be understood.
    """
    if arguments.labels is None and not arguments.place and arguments.scale is None:
        return None
    from sleepfm_jax.jobs.cut_clips import HowToCut  # takes a while to import

    places = parse_named(arguments.place)
    return HowToCut(arguments.labels, arguments.scale or "night", places, Rule(least_modalities=1))
