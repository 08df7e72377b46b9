"""The flags that commands with a head over the foundation model share."""

import argparse

from sleepfm_jax.commands import channel_flags, job_flags


def add(parser: argparse.ArgumentParser, output: str) -> None:
    """Adds PATH…, --model, --output, --workers, --overwrite, --dtype, --precision and channels.

    Args:
        parser: of the command.
        output: what the folder is for.
    """
    parser.add_argument(
        "--model", required=True, metavar="MODEL", help="a folder of models, or a run's"
    )
    job_flags.add(
        parser,
        paths="EDF or BDF files, WFDB headers (.hea), recordings (HDF5), or folders of them or of "
        "embeddings",
        output=f"folder for the {output}",
        workers="nights read at a time, ahead of the model (default: 1; more where an "
        "accelerator waits for EDF files)",
    )
    parser.add_argument(
        "--dtype",
        choices=["float32", "bfloat16"],
        default="float32",
        help="in which recordings are embedded (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=["highest", "high", "default"],
        default="highest",
        help="of matrix products while embedding (default: %(default)s, exact float32)",
    )
    channel_flags.add(parser)
