"""`sleepfm-jax evaluate`: how good stages and risks are, against a scorer's and against records."""

import argparse
import logging
from pathlib import Path

from sleepfm_jax.commands import job_flags

EPILOG = """\
examples:
  sleepfm-jax evaluate staging --predictions staged --labels stages --output results
  sleepfm-jax evaluate risk --predictions risks --outcomes cohort --output results

sleepfm-jax evaluate staging --help and sleepfm-jax evaluate risk --help say more, and
docs/evaluation.md how each number is defined.
"""

STAGING = """\
examples:
  sleepfm-jax evaluate staging --predictions staged --labels stages --output results
  sleepfm-jax evaluate staging --predictions staged --labels stages --output results \\
    --subject "^([^_]+)_" --night-pictures

writes
  results/metrics.csv           accuracy, macro-F1, kappa and F1 of each stage with 95 % intervals,
                                by cohort and pooled, over 5-s steps and 30-s epochs
  results/confusion.csv, .png   epochs by scored and predicted stage
  results/nights.csv            the same numbers of every night, and what is odd about its labels
  results/sleep_statistics.csv  of every night by scorer and model: time in bed, total sleep time,
                                efficiency, latencies, WASO, minutes and share of each stage
  results/sleep_statistics_agreement.csv, sleep_statistics.png   bias and limits of agreement
  results/nights/NIGHT.png      both hypnograms, with --night-pictures
  results/failures.csv          file and reason, if a night could not be judged

Predictions are what `sleepfm-jax stage` wrote, or label files of any kind, as of a second scorer.
Label files may be of any format in docs/annotations.md and are named as the nights. The two meet
by time, not by row; what either leaves unscored does not count. Intervals come from resampling
subjects with all their nights.
"""

RISK = """\
examples:
  sleepfm-jax evaluate risk --predictions risks --outcomes cohort --output results
  sleepfm-jax evaluate risk --predictions risks --outcomes cohort --output results \\
    --model MODEL --against risks_by_age_and_sex

writes
  results/metrics.csv               for each phecode the C-index with 95 % interval, p-value, the
                                    same corrected (Bonferroni; Benjamini and Hochberg), AUROC at
                                    the horizon; or the reason why there is none
  results/difference.csv            C-index less that of --against, paired by subject
  results/calibration.csv, .png     predicted and observed risk in fifths of risk
  results/c_index.png               the best labels
  results/survival.png              Kaplan–Meier curves of thirds by risk
  results/left_out.csv              subjects with risks or outcomes alone
  results/failures.csv              file and reason, if risks could not be read

Outcomes are the published tables: is_event.csv (0 or 1) and time_to_event.csv (days), each with
Study ID and one column a phecode. Subjects whose time is not known are left out of that label.
Risks are what `sleepfm-jax risk` wrote, or a CSV with Study ID and one column of log hazards a
phecode. Without --model the level of the risks is taken from the outcomes themselves.
"""


def main(argv: list[str]) -> int:
    """Judges predictions; 0 if all could be judged, 1 if some, 2 if none."""
    flags = _parser().parse_args(argv)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    return _staging(flags) if flags.what == "staging" else _risk(flags)


def _staging(flags: argparse.Namespace) -> int:
    from sleepfm_jax.jobs.evaluate_staging import Grouping, evaluate_staging

    summary, found = evaluate_staging(
        flags.predictions,
        flags.labels,
        flags.output,
        Grouping(flags.subject, flags.cohort, flags.nights),
        resamples=flags.resamples,
        seed=flags.seed,
        draw_nights=flags.night_pictures,
    )
    for cohort, agreement in found.items():
        said = ", ".join(
            f"{name} {agreement.values[name]:.3f}{_interval(*agreement.intervals[name])}"
            for name in ("accuracy", "macro-F1", "kappa")
        )
        nights, subjects = _of(agreement.nights, "night"), _of(agreement.subjects, "subject")
        print(f"{cohort}: {said}; {nights}, {subjects}")
    return job_flags.report(summary, flags.output)


def _risk(flags: argparse.Namespace) -> int:
    from sleepfm_jax.jobs.evaluate_risk import Settings, evaluate_risk

    settings = Settings(flags.horizon, flags.resamples, flags.seed, flags.model, flags.against)
    summary, judged = evaluate_risk(flags.predictions, flags.outcomes, flags.output, settings)
    found, table = judged.c_index, judged.table
    for label in judged.best(5):
        name = f"{table.labels[label]} {table.phenotypes[label]}".strip()
        limits = _interval(found.lower[label], found.upper[label])
        print(f"{name}: C-index {found.estimate[label]:.3f}{limits}")
    scored = int((found.estimate == found.estimate).sum())
    print(
        f"{scored} of {len(table.labels)} labels have a C-index, "
        f"{int((found.p_bonferroni < 0.05).sum())} differ from chance after Bonferroni's "
        f"correction; {len(table.subjects)} subjects"
    )
    return job_flags.report(summary, flags.output)


def _of(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)


def _interval(lower: float, upper: float) -> str:
    return f" ({lower:.3f} to {upper:.3f})" if lower == lower else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax evaluate",
        description="Says how good stages and risks are.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="what", required=True, metavar="staging | risk")
    _add_staging(
        kinds.add_parser(
            "staging",
            help="stages against a scorer's",
            description="Compares staged nights with a scorer's hypnograms.",
            epilog=STAGING,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    _add_risk(
        kinds.add_parser(
            "risk",
            help="risks against what happened",
            description="Compares predicted risks of diseases with what happened.",
            epilog=RISK,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    return parser


def _add_staging(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser, "--predictions", "staged nights")
    _add_folder(parser, "--labels", "the scorer's files, named as the nights")
    _add_folder(parser, "--output", "for the results")
    parser.add_argument(
        "--subject",
        metavar="REGEX",
        help="whose first group, in a night's name, is the subject (default: the whole name)",
    )
    parser.add_argument(
        "--cohort",
        metavar="REGEX",
        help="whose first group, in a night's name, is the cohort (default: the night's folder)",
    )
    parser.add_argument(
        "--nights",
        type=Path,
        metavar="CSV",
        help="table of Study ID (a night's name) and subject, cohort or both, instead of a REGEX",
    )
    parser.add_argument(
        "--night-pictures", action="store_true", help="draw both hypnograms of every night"
    )
    _add_resamples(parser)


def _add_risk(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--predictions", type=Path, required=True, metavar="PATH", help="a CSV, or a folder of them"
    )
    _add_folder(parser, "--outcomes", "is_event.csv and time_to_event.csv")
    _add_folder(parser, "--output", "for the results")
    parser.add_argument(
        "--horizon",
        type=_years,
        default=6.0,
        metavar="YEARS",
        help="of AUROC and calibration (default: %(default)g)",
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="MODEL",
        help="the model that made the predictions, for its baseline hazard",
    )
    parser.add_argument(
        "--against", type=Path, metavar="PATH", help="risks by another model, to compare with"
    )
    _add_resamples(parser)


def _add_folder(parser: argparse.ArgumentParser, flag: str, what: str) -> None:
    parser.add_argument(flag, type=Path, required=True, metavar="DIR", help=f"folder: {what}")


def _add_resamples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resamples",
        type=job_flags.count,
        default=1000,
        metavar="N",
        help="of subjects, for the intervals (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the resamples (default: 0)")


def _years(text: str) -> float:
    try:
        years = float(text)
    except ValueError:
        years = 0.0
    if not 0 < years < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of years")
    return years
