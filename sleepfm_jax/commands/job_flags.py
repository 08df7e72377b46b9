"""The flags and the closing words that commands over many nights share."""

import argparse
from pathlib import Path

from sleepfm_jax.jobs.runner import Summary


def add(parser: argparse.ArgumentParser, paths: str, output: str, workers: str) -> None:
    """Adds PATH…, --output, --workers and --overwrite.

    Args:
        parser: of the command.
        paths: what the paths are.
        output: what the folder is for.
        workers: what the workers do.
    """
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help=paths)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help=output)
    parser.add_argument("--workers", type=count, metavar="N", help=workers)
    parser.add_argument("--overwrite", action="store_true", help="make anew what is done already")


def count(text: str) -> int:
    """A whole number from 1 up, as a flag's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def report(summary: Summary, output: Path) -> int:
    """Prints what became of the nights; returns the command's exit status."""
    for name, reason in summary.skipped:
        if reason != "done before":
            print(f"skipped {name}: {reason}")
    for _, reason in summary.failed:
        print(f"failed  {reason}")
    print(f"{output}: {summary.counts}, {summary.seconds:.1f} s")
    if summary.failed:
        print(f"what failed is listed in {output / 'failures.csv'}")
    return summary.status
