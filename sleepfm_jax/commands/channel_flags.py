"""The flags by which a user corrects what channels are taken for; the same in every command."""

import argparse

from sleepfm_jax.input_pipeline import montage


def add(parser: argparse.ArgumentParser) -> None:
    """Adds --channel-groups and --channel to a command's flags."""
    flags = parser.add_argument_group("channels")
    flags.add_argument(
        "--channel-groups",
        metavar="JSON",
        help='labels by modality, {"BAS": ["C3-M2", ...], "RESP": [...], ...}; they are matched as '
        "written and nothing else is used (default: labels are read)",
    )
    flags.add_argument(
        "--channel",
        metavar="LABEL=MODALITY",
        action="append",
        default=[],
        help="what one label is: BAS, RESP, EKG, EMG, or none to leave it out; may be repeated, "
        "and outweighs everything",
    )


def read(arguments: argparse.Namespace) -> montage.Montage | None:
    """The montage that the flags ask for; None where they ask for nothing.

    Args:
        arguments: parsed by a parser that went through `add`.

    Raises:
        InputError: the JSON or a --channel cannot be understood.
    """
    if arguments.channel_groups is None and not arguments.channel:
        return None
    groups = None
    if arguments.channel_groups is not None:
        groups = montage.read_channel_groups(arguments.channel_groups)
    return montage.Montage(groups=groups, named=montage.parse_named(arguments.channel))
