"""`sleepfm-jax stage`: nights to hypnograms with probabilities, pictures and sleep statistics."""

import argparse

from sleepfm_jax.commands import channel_flags, head_flags, job_flags

EPILOG = """\
examples:
  sleepfm-jax stage --model MODEL --output staged night.edf
  sleepfm-jax stage --model MODEL --output staged embeddings/

writes for each NIGHT
  staged/NIGHT_hypnogram.edf    EDF+ annotations of 30-s epochs: Sleep stage W, N1, N2, N3, R, ?
                                (EDFbrowser, MNE, Polyman)
  staged/NIGHT_events.tsv       onset, duration, stage and the probability of each, BIDS-like
  staged/NIGHT.annot            for Luna
  staged/NIGHT_hypnogram.json   for YASA: yasa.Hypnogram.from_json
  staged/NIGHT_steps.tsv        the same as events.tsv for each 5-s step of the model
  staged/NIGHT.png              hypnogram over hypnodensity
and for all
  staged/sleep_statistics.csv   a row a night: total sleep time, efficiency, latencies, WASO,
                                minutes and percent of each stage, over the whole recording
  staged/failures.csv           file and reason, if a night could not be used

An epoch's stage is the most likely one by the mean of its six steps. Arousals, breathing and limb
movements are not scored.

MODEL is a folder of models with staging/ and base/: the work directory of `sleepfm-jax finetune`,
or what `python -m conversion import --release` made. Run it again to go on after an interruption or
to add nights: what is done and unchanged is skipped. docs/annotations.md has the formats.
"""


def main(argv: list[str]) -> int:
    """Stages nights; 0 if all could be staged, 1 if some, 2 if none."""
    flags = _parser().parse_args(argv)
    montage = channel_flags.read(flags)
    from sleepfm_jax.jobs.stage import stage  # after the flags: JAX takes a second to import

    summary = stage(
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
        prog="sleepfm-jax stage",
        description="Scores the sleep stages of nights with a SleepFM model: Wake, N1, N2, N3 and "
        "REM, every 5 and every 30 seconds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    head_flags.add(parser, "hypnograms")
    return parser
