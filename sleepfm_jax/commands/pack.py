"""`sleepfm-jax pack`: recordings to a store of five-minute windows, which pretraining reads."""

import argparse

from sleepfm_jax.commands import channel_flags, job_flags, split_flags
from sleepfm_jax.input_pipeline.windows import Rule

EPILOG = """\
examples:
  sleepfm-jax pack --output store recordings/
  sleepfm-jax pack --output store --subject "^([^_]+)_" --workers 4 recordings/
  sleepfm-jax pack --output store --splits dataset_split.json recordings/

writes
  store/sleepfm_windows-SPLIT.array_record-…   the windows, one record each
  store/windows.json                           nights, splits, and what the rule refused
  store/failures.csv                           file and reason, if a night could not be used

The store is there when it is complete, and not before; nothing but an older store is ever
replaced, and that only with --overwrite. By default a hash of the subject decides the split:
nights that are packed later move none. What is in a record: docs/windows.md.
"""


def main(argv: list[str]) -> int:
    """Packs nights; 0 if all could be used, 1 if some, 2 if none."""
    flags = _parser().parse_args(argv)
    montage = channel_flags.read(flags)
    splits = split_flags.read(flags)
    rule = Rule(flags.flat_limit, flags.least_modalities, flags.least_patches)
    from sleepfm_jax.jobs.pack import pack  # after the flags: TFDS takes a while to import

    summary = pack(
        flags.paths,
        flags.output,
        montage,
        splits=splits,
        rule=rule,
        workers=flags.workers or 1,
        overwrite=flags.overwrite,
    )
    return job_flags.report(summary, flags.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax pack",
        description="Packs nights into a store of five-minute windows, split by subject.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    job_flags.add(
        parser,
        paths="recordings (HDF5), EDF or BDF files, WFDB headers (.hea), or folders of them",
        output="folder that becomes the store",
        workers="nights cut at a time (default: 1)",
    )
    split_flags.add(parser)
    _add_rule(parser.add_argument_group("quality"))
    channel_flags.add(parser)
    return parser


def _add_rule(flags: argparse._ArgumentGroup) -> None:
    rule = Rule()
    flags.add_argument(
        "--flat-limit",
        type=float,
        default=rule.flat_limit,
        metavar="SHARE",
        help="largest share of flat 5-second patches of a channel that stays in a window "
        "(default: %(default)s)",
    )
    flags.add_argument(
        "--least-modalities",
        type=int,
        default=rule.least_modalities,
        metavar="N",
        help="with fewer, a window is dropped (default: %(default)s)",
    )
    flags.add_argument(
        "--least-patches",
        type=int,
        default=rule.least_patches,
        metavar="N",
        help="with fewer 5-second patches, the last window of a night is dropped "
        "(default: %(default)s)",
    )
