"""`sleepfm-jax clip`: recordings to a store of thirty-second clips with their sleep stages."""

import argparse

from sleepfm_jax.commands import clip_flags, job_flags, split_flags
from sleepfm_jax.input_pipeline.clips import Rule
from sleepfm_jax.input_pipeline.splits import FOUR_FRACTIONS

EPILOG = """\
examples:
  sleepfm-jax clip --output store physionet.org/files/challenge-2018/1.0.0/training
  sleepfm-jax clip --output store --labels hypnograms/ --workers 4 edfs/
  sleepfm-jax clip --output store --place "EEG(sec)=C3-M2" --place "EEG=C4-M1" shhs/

A clip is a scored epoch: 30 s of nine places at 256 Hz, from the first scored epoch of the night
to the last. Channels are found by what their labels mean: an electrode against any reference fills
its place, the named reference is preferred. A place that nothing fills is empty.
  respiratory    CHEST, SaO2, ABD
  sleep_stages   C3-M2, C4-M1, O1-M2, O2-M1, E1-M2
  ekg            ECG

writes
  store/sleepfm_clips-SPLIT.array_record-…   the clips, one record each
  store/clips.json                           nights, splits, stages, and what the rule refused
  store/failures.csv                         file and reason, if a night could not be used

Label files lie beside the recordings, or in --labels DIR, and are named as the nights; their format
is recognised by content. A night without one is cut from its start and has no stages.
The store is there when it is complete, and not before; nothing but an older store of clips is ever
replaced, and that only with --overwrite. By default a hash of the subject decides the split:
nights that are packed later move none. What is in a record: docs/clips.md.
"""


def main(argv: list[str]) -> int:
    """Packs nights; 0 if all could be used, 1 if some, 2 if none."""
    flags = _parser().parse_args(argv)
    splits = split_flags.read(flags)
    how = clip_flags.read(flags, Rule(flags.flat_limit, flags.least_modalities))
    from sleepfm_jax.jobs.pack_clips import pack_clips  # after the flags: TFDS takes a while

    summary = pack_clips(
        flags.paths,
        flags.output,
        how,
        splits=splits,
        workers=flags.workers or 1,
        overwrite=flags.overwrite,
    )
    return job_flags.report(summary, flags.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax clip",
        description="Packs nights into a store of thirty-second clips, split by subject.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    job_flags.add(
        parser,
        paths="EDF or BDF files, WFDB headers (.hea), recordings (HDF5), or folders of them",
        output="folder that becomes the store",
        workers="nights cut at a time (default: 1)",
    )
    clip_flags.add(parser, "labels and channels")
    split_flags.add(parser, FOUR_FRACTIONS)
    _add_rule(parser.add_argument_group("quality"))
    return parser


def _add_rule(flags: argparse._ArgumentGroup) -> None:
    rule = Rule()
    flags.add_argument(
        "--flat-limit",
        type=float,
        default=rule.flat_limit,
        metavar="SHARE",
        help="largest share of flat seconds of a channel that stays in a clip; SaO2 may be flat "
        "(default: %(default)s)",
    )
    flags.add_argument(
        "--least-modalities",
        type=int,
        default=rule.least_modalities,
        metavar="N",
        help="with fewer, a clip is dropped (default: %(default)s)",
    )
