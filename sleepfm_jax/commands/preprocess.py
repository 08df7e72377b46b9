"""`sleepfm-jax preprocess`: nights of EDF, BDF or WFDB to recordings at the model's rate."""

import argparse

from sleepfm_jax.commands import channel_flags, job_flags
from sleepfm_jax.jobs.preprocess import preprocess

EPILOG = """\
examples:
  sleepfm-jax preprocess --output recordings night.edf
  sleepfm-jax preprocess --output recordings --workers 4 --channel "Chan 7=RESP" cohort/edf
  sleepfm-jax preprocess --output recordings physionet/training

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
    return job_flags.report(summary, flags.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax preprocess",
        description="Makes recordings at the model's rate (128 Hz) of EDF, BDF and WFDB nights, "
        "one HDF5 a night in the published layout.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    job_flags.add(
        parser,
        paths="EDF or BDF files, headers of WFDB records (.hea), or folders of them",
        output="folder for the recordings",
        workers="nights at a time (default: as cores and memory allow; a single night uses all "
        "cores)",
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="of a Dask scheduler to use instead of --workers"
    )
    channel_flags.add(parser)
    return parser
