"""`sleepfm-jax embed`: nights to embeddings, by the foundation model or by the ICML 2024 towers."""

import argparse
from typing import TYPE_CHECKING, Any

from sleepfm_jax.commands import channel_flags, clip_flags, job_flags
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.clips import Rule
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.store_kinds import CLIPS
from sleepfm_jax.jobs.runner import Summary

if TYPE_CHECKING:
    from sleepfm_jax.jobs.cut_clips import HowToCut

EPILOG = """\
examples:
  sleepfm-jax embed --model MODEL --output embeddings night.edf
  sleepfm-jax embed --model MODEL --output embeddings recordings/
  sleepfm-jax embed --model TOWERS --output embeddings store/

the foundation model writes
  embeddings/sequence/NIGHT.hdf5   a row for each 5-second patch, (S, 128) float32
  embeddings/pooled/NIGHT.hdf5     a row for each 5-minute window, (W, 128) float32
  embeddings/failures.csv          file and reason, if a night could not be used

Each file has one dataset a modality that the night has (BAS: EEG and EOG, RESP, EKG, EMG); its
attributes tell start and step of the rows in seconds, the model and the source. EDF nights
are brought to the model's rate on the way, with the numbers that `preprocess` would give.

towers write
  embeddings/clips/NIGHT.hdf5      a row for each 30-second clip, (K, 512) float32 a modality
                                   (respiratory, sleep_stages, ekg), its start and its stage

They take clip stores, with the nights of all their splits, or the same recordings as the foundation
model: these are cut into clips as `sleepfm-jax clip` does, and every clip with one modality counts.

Run it again to go on after an interruption or to add nights: what is done and unchanged is
skipped; embeddings by another model are replaced. MODEL is a folder made by
`python -m conversion import`, or the work directory of `sleepfm-jax pretrain`.
"""


def main(argv: list[str]) -> int:
    """Embeds nights; 0 if all could be embedded, 1 if some, 2 if none."""
    flags = _parser().parse_args(argv)
    montage = channel_flags.read(flags)
    how = clip_flags.read(flags, Rule(least_modalities=1)) if clip_flags.is_given(flags) else None
    from sleepfm_jax import saved_model  # after the flags: JAX takes a second to import

    towers = saved_model.role_of(flags.model, ("base", "towers")) == "towers"
    if towers and montage is not None:
        raise InputError(
            f"{flags.model} has towers, which know places, not modalities: say what a channel is "
            "with --place LABEL=PLACE"
        )
    if not towers and how is not None:
        raise InputError(
            f"{flags.model} is a foundation model: --labels, --place and --scale are for towers, "
            "leave them out"
        )
    summary = _with_towers(flags, how) if towers else _with_base(flags, montage)
    return job_flags.report(summary, flags.output)


def _with_base(flags: argparse.Namespace, montage: Montage | None) -> Summary:
    from sleepfm_jax.jobs.embed import embed

    for path in flags.paths:
        if (path / CLIPS.file).is_file():
            raise InputError(
                f"{path} is a store of clips, which {flags.model}, a foundation model, cannot "
                "embed: give recordings, or --model TOWERS"
            )
    return embed(flags.paths, flags.model, flags.output, montage, **_running(flags))


def _with_towers(flags: argparse.Namespace, how: "HowToCut | None") -> Summary:
    from sleepfm_jax.jobs.embed_clips import embed_clips

    return embed_clips(flags.paths, flags.model, flags.output, how, **_running(flags))


def _running(flags: argparse.Namespace) -> dict[str, Any]:
    return {
        "dtype": flags.dtype,
        "precision": flags.precision,
        "workers": flags.workers or 1,
        "overwrite": flags.overwrite,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax embed",
        description="Embeds nights with a SleepFM model: the foundation model gives a row every "
        "5 seconds and every 5 minutes for each modality, the towers one for each 30-second clip.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", required=True, metavar="MODEL", help="the model's folder, or a run's"
    )
    job_flags.add(
        parser,
        paths="recordings (HDF5), EDF or BDF files, WFDB headers (.hea), or folders of them; for "
        "towers also clip stores",
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
    clip_flags.add(parser, "clips, which towers embed, of recordings")
    return parser
