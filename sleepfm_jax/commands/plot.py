"""`sleepfm-jax plot`: a picture of each night's embeddings over its hypnogram."""

import argparse
from pathlib import Path

EPILOG = """\
example:
  sleepfm-jax plot --embeddings embeddings --stages stages --output pictures

writes pictures/NIGHT.png: the hypnogram, the first principal components of each modality's
5-second embeddings over time, and every patch on a map of the first two.
"""


def main(argv: list[str]) -> int:
    """Draws every night of a folder of embeddings; 0 if all could be drawn."""
    flags = _parser().parse_args(argv)
    from sleepfm_jax.jobs.plot import plot  # after the flags: matplotlib takes a while to import

    for picture in plot(flags.embeddings, flags.output, flags.stages):
        print(picture)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax plot",
        description="Draws each night's embeddings over its hypnogram.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--embeddings", type=Path, required=True, metavar="DIR", help="folder that embed wrote"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for the pictures"
    )
    parser.add_argument(
        "--stages",
        type=Path,
        metavar="DIR",
        help="folder of label files named as the nights, of any format in docs/annotations.md "
        "(default: no hypnogram)",
    )
    return parser
