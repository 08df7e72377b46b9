"""`sleepfm-jax preprocess`: EDF nights to recordings at the model's rate, one HDF5 a night."""

import argparse
from pathlib import Path

from sleepfm_jax.commands import channel_flags
from sleepfm_jax.jobs.preprocess import preprocess

EPILOG = """\
examples:
  sleepfm-jax preprocess --output recordings night.edf
  sleepfm-jax preprocess --output recordings --workers 4 --channel "Chan 7=RESP" cohort/edf

writes
  recordings/NIGHT.hdf5     one float16 dataset a channel: 128 Hz, z-scored, gzip
  recordings/failures.csv   file and reason, if a night could not be used

Folders are searched with their subfolders, which the output keeps. Run it again to go on
after an interruption or to add nights: what is done and unchanged is skipped. What a
recording is like before and after: sleepfm-jax inspect FILE.
"""


def main(argv: list[str]) -> int:
    """Preprocesses nights; 0 if all could be used, 1 if some, 2 if none."""
    flags = _parser().parse_args(argv)
    summary = preprocess(
        flags.paths,
        flags.output,
        channel_flags.read(flags),
        workers=flags.workers,
        cluster=flags.cluster,
        overwrite=flags.overwrite,
    )
    for name, reason in summary.skipped:
        if reason != "done before":
            print(f"skipped {name}: {reason}")
    for _, reason in summary.failed:
        print(f"failed  {reason}")
    print(f"{flags.output}: {summary.counts}, {summary.seconds:.1f} s")
    if summary.failed:
        print(f"what failed is listed in {flags.output / 'failures.csv'}")
    return summary.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax preprocess",
        description="Makes recordings at the model's rate (128 Hz) of EDF and BDF nights, "
        "one HDF5 a night in the published layout.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="EDF or BDF files, or folders of them"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the recordings")
    parser.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="nights at a time (default: as cores and memory allow; a single night uses all cores)",
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="of a Dask scheduler to use instead of --workers"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="make recordings anew that are done already"
    )
    channel_flags.add(parser)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)
