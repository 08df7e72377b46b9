"""`sleepfm-jax embed`: recordings or EDF nights to 5-second and 5-minute embeddings."""

import argparse

from sleepfm_jax.commands import channel_flags, job_flags

EPILOG = """\
examples:
  sleepfm-jax embed --model MODEL --output embeddings night.edf
  sleepfm-jax embed --model MODEL --output embeddings recordings/

writes
  embeddings/sequence/NIGHT.hdf5   a row for each 5-second patch, (S, 128) float32
  embeddings/pooled/NIGHT.hdf5     a row for each 5-minute window, (W, 128) float32
  embeddings/failures.csv          file and reason, if a night could not be used

Each file has one dataset a modality that the night has (BAS: EEG and EOG, RESP, EKG, EMG); its
attributes tell start and step of the rows in seconds, the model and the source. EDF nights
are brought to the model's rate on the way, with the numbers that `preprocess` would give.

Run it again to go on after an interruption or to add nights: what is done and unchanged is
skipped; embeddings by another model are replaced. MODEL is a folder made by
`python -m conversion import`, or the work directory of `sleepfm-jax pretrain`.
"""


def main(argv: list[str]) -> int:
    """Embeds nights; 0 if all could be embedded, 1 if some, 2 if none."""
    flags = _parser().parse_args(argv)
    montage = channel_flags.read(flags)
    from sleepfm_jax.jobs.embed import embed  # after the flags: JAX takes a second to import

    summary = embed(
        flags.paths,
        flags.model,
        flags.output,
        montage,
        dtype=flags.dtype,
        precision=flags.precision,
        workers=flags.workers or 1,
        overwrite=flags.overwrite,
    )
    return job_flags.report(summary, flags.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax embed",
        description="Embeds nights with a SleepFM model: a row every 5 seconds and every "
        "5 minutes for each modality.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", required=True, metavar="MODEL", help="the model's folder, or a run's"
    )
    job_flags.add(
        parser,
        paths="recordings (HDF5), EDF or BDF files, or folders of them",
        output="folder for the embeddings",
        workers="nights read at a time, ahead of the model (default: 1; more where an "
        "accelerator waits for EDF files)",
    )
    parser.add_argument(
        "--dtype",
        choices=["float32", "bfloat16"],
        default="float32",
        help="in which the network computes (default: %(default)s, as the published models; "
        "bfloat16 is faster on accelerators and rounds to about 1 %%)",
    )
    parser.add_argument(
        "--precision",
        choices=["highest", "high", "default"],
        default="highest",
        help="of matrix products (default: %(default)s, exact float32; the others let accelerators "
        "round factors, which is faster)",
    )
    channel_flags.add(parser)
    return parser
