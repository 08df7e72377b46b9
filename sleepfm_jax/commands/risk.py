"""`sleepfm-jax risk`: nights to the risk of each disease."""

import argparse
from pathlib import Path

from sleepfm_jax.commands import channel_flags, head_flags, job_flags

EPILOG = """\
examples:
  sleepfm-jax risk --model MODEL --age 54 --sex F --output risks night.edf
  sleepfm-jax risk --model MODEL --demographics demographics.csv --output risks embeddings/

writes
  risks/NIGHT.csv          Study ID, phecode, phenotype, log_hazard and rank, the highest first;
                           risk_6_years where the model has its baseline hazards
  risks/NIGHT_risk.json    models and settings, by which a later run skips what is done
  risks/failures.csv       file and reason, if a night could not be used

What the numbers mean. A log hazard compares people for one disease: 0.7 more is twice the hazard at
any time. Those of two diseases share no scale, so the rank within a night says little of which is
the likelier; risk_6_years does: the chance of a first diagnosis within six years, among people like
those who trained the model. Estimates of a research model, not a diagnosis.

Ages are years, sexes F or M; how they become numbers is kept with the model. The table has the
columns Study ID, age and gender; a night is found in it by its name, with or without folders, or by
--subject. MODEL is a folder of models with diagnosis/ and base/: the work directory of
`sleepfm-jax finetune`, or what `python -m conversion import --release` made. Run it again to go on
after an interruption or to add nights.
"""


def main(argv: list[str]) -> int:
    """Estimates risks; 0 if those of all nights could be estimated, 1 if of some, 2 if of none."""
    parser = _parser()
    flags = parser.parse_args(argv)
    _refuse_other_than_one_person_or_table(parser, flags)
    montage = channel_flags.read(flags)
    from sleepfm_jax.input_pipeline.demographics import read_demographics
    from sleepfm_jax.jobs.risk import People, risk  # after the flags: JAX takes a second to import

    table = read_demographics(flags.demographics) if flags.demographics else None
    summary = risk(
        flags.paths,
        flags.model,
        flags.output,
        People(flags.age, flags.sex, table, flags.subject),
        montage,
        years=flags.years,
        dtype=flags.dtype,
        precision=flags.precision,
        workers=flags.workers or 1,
        overwrite=flags.overwrite,
    )
    return job_flags.report(summary, flags.output)


def _refuse_other_than_one_person_or_table(
    parser: argparse.ArgumentParser, flags: argparse.Namespace
) -> None:
    one = flags.age is not None, flags.sex is not None
    if any(one) and flags.demographics:
        parser.error("give --age and --sex of one person, or --demographics of many, not both")
    if any(one) and not all(one):
        parser.error("--age and --sex go together")


def _years(text: str) -> float:
    """A number above 0, as a flag's type."""
    try:
        years = float(text)
    except ValueError:
        years = 0.0
    if not 0 < years < 200:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of years above 0")
    return years


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax risk",
        description="Estimates the risk of each disease from nights, age and sex with a SleepFM "
        "model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--age", type=float, metavar="YEARS", help="of the one person of all nights"
    )
    parser.add_argument("--sex", choices=["F", "M"], help="of the same")
    parser.add_argument(
        "--demographics",
        type=Path,
        metavar="CSV",
        help="ages and sexes of many people, instead: Study ID, age, gender",
    )
    parser.add_argument(
        "--subject",
        metavar="REGEX",
        help="its first group within a night's name is the Study ID (default: the whole name)",
    )
    parser.add_argument(
        "--years",
        type=_years,
        default=6.0,
        metavar="YEARS",
        help="by which absolute risks are told, where the model knows them (default: 6)",
    )
    head_flags.add(parser, "tables")
    return parser
