"""`sleepfm-jax simulate`: nights of simulated polysomnography with stages and outcomes."""

import argparse
from pathlib import Path

from sleepfm_jax.commands import job_flags
from sleepfm_jax.input_pipeline.simulate import EDF, FORMATS
from sleepfm_jax.input_pipeline.simulation.montages import MONTAGES
from sleepfm_jax.jobs import runner
from sleepfm_jax.jobs.simulate import Cohort, simulate

EPILOG = """\
examples:
  sleepfm-jax simulate --nights 40 --hours 1 --seed 1 --output cohort
  sleepfm-jax simulate --nights 8 --hours 0.5 --format cinc2018 --output cohort

makes
  cohort/edf/NIGHT.edf          signals, labelled and sampled as in one of six laboratories
  cohort/stages/NIGHT.csv       Start, Stop, StageName, StageNumber; one row for 30 s
or, with --format cinc2018, what the PhysioNet/CinC Challenge 2018 has of each night
  cohort/cinc2018/NIGHT.hea, NIGHT.mat     WFDB record of 13 signals at 200 Hz
  cohort/cinc2018/NIGHT-arousal.mat        stage and arousal of every sample
and
  cohort/demographics.csv       Study ID, age (years), gender (0 female, 1 male)
  cohort/is_event.csv           one column a phecode: 1 diagnosed within the follow-up, 0 not
  cohort/time_to_event.csv      the same columns: days to the diagnosis or the follow-up's end
  cohort/label_mapping.csv      the phecodes in words
  cohort/truth.csv              traits and true log hazards, the ceiling for any model

Each subject sleeps one night. A night depends on the seed and its number alone, so a
second run with more nights adds to the first, and an interrupted one goes on.
docs/simulator.md says what is simulated and what is not.
"""


def main(argv: list[str]) -> int:
    """Simulates a cohort; 0 if all nights are there, 1 if some, 2 if none."""
    parser = _parser()
    flags = parser.parse_args(argv)
    if flags.montage and flags.format != EDF:
        parser.error(f"--montage is for EDF: the records of {flags.format} have one of their own")
    cohort = Cohort(flags.seed, flags.hours, flags.montage, flags.format)
    summary = simulate(cohort, flags.nights, flags.output, flags.workers)
    return job_flags.report(summary, flags.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax simulate",
        description="Simulates nights of polysomnography whose signals express a known hypnogram, "
        "and a cohort whose diseases depend on known sleep traits.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nights", type=job_flags.count, default=2, help="how many (default: 2)")
    parser.add_argument("--hours", type=_hours, default=1.0, help="of each night (default: 1)")
    parser.add_argument("--seed", type=_seed, default=1, help="of the cohort (default: 1)")
    parser.add_argument("--output", type=Path, required=True, help="folder to fill")
    parser.add_argument(
        "--format", choices=FORMATS, default=EDF, help="of the nights' files (default: edf)"
    )
    parser.add_argument(
        "--montage",
        choices=sorted(MONTAGES),
        help="one laboratory's channels for all nights (default: drawn for each night)",
    )
    parser.add_argument(
        "--workers",
        type=job_flags.count,
        default=runner.cores(),
        help="processes (default: %(default)s)",
    )
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def _hours(text: str) -> float:
    """At least one epoch, at most a day."""
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 1 / 120 <= hours <= 24:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours from 0.0084 to 24")
    return hours
