"""`sleepfm-jax probe`: what a linear classifier reads out of frozen embeddings."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sleepfm_jax.commands import embedding_flags, job_flags, text_table

if TYPE_CHECKING:
    from sleepfm_jax.jobs.probe import Probed

EPILOG = """\
examples:
  sleepfm-jax probe --embeddings embeddings --output results
  sleepfm-jax probe --embeddings embeddings --output results --modality each \\
    --few-shot 1,2,5,10
  sleepfm-jax probe --embeddings embeddings --labels stages --output results \\
    --subject "^([^_]+)_"

Logistic regression on 30-second embeddings of any model: those of towers, or the mean of six
5-second embeddings of the foundation model. Each modality is brought to length 1, an absent one is
zeros, all are standardised on the training data, and every stage weighs alike in the fit.

writes
  results/metrics.csv    AUROC, AUPRC and F1 of each stage and their means, with 95 % intervals from
                         resampling test subjects; prevalence (AUPRC by guessing) and support
  results/stages.png     ROC and precision-recall curves of each stage, and the confusion matrix
  results/few_shot.csv, few_shot.png   the same from k training subjects, with --few-shot
  results/summary.json   accuracy, macro-F1, kappa; subjects, nights and epochs; what was left out

Stages are those stored with the clips, or those of --labels, met by time. Splits are those stored;
--seed, --fractions or --splits give others. A subject in two splits is refused. How each number is
defined: docs/probe_and_retrieval.md.
"""


def main(argv: list[str]) -> int:
    """Probes embeddings; 0 if all nights could be used, 1 if some were left out."""
    parser = _parser()
    flags = embedding_flags.parse(parser, argv)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    choice = embedding_flags.read(parser, flags, "epochs", flags.labels)
    from sleepfm_jax.jobs.probe import Plan, probe  # after the flags: scikit-learn takes a second

    plan = Plan(
        train=flags.train,
        test=flags.test,
        modality=flags.modality,
        shots=flags.few_shot,
        repeats=flags.repeats,
        seed=flags.draw_seed,
        resamples=flags.resamples,
        **({} if flags.strength is None else {"strength": flags.strength}),
    )
    rows, found = probe(flags.embeddings, flags.output, choice, plan)
    for one in found:
        print("\n".join(_said(one, plan.train, plan.test)))
    if rows.left_out or rows.unscored:
        nights, epochs = len(rows.left_out), rows.unscored
        print(f"left out: {nights} nights, and {epochs} epochs of the others without a stage")
    print(f"{flags.output}: metrics.csv, stages.png, summary.json" + _curve(plan.shots))
    return 1 if rows.left_out else 0


def _curve(shots: Sequence[int]) -> str:
    return ", few_shot.csv, few_shot.png" if shots else ""


def _said(one: "Probed", train: str, test: str) -> list[str]:
    scores = one.scores
    header = [one.modality, "AUROC", "AUPRC", "guessing", "F1", "epochs"]
    names = [("macro", "macro AUROC", "macro AUPRC", "macro-F1")]
    names += [(name, f"AUROC {name}", f"AUPRC {name}", f"F1 {name}") for name in scores.prevalence]
    cells = []
    for k, (name, *numbers) in enumerate(names):
        told = [text_table.number(scores.values[n], scores.intervals[n]) for n in numbers]
        share = text_table.number(scores.prevalence[name]) if k else ""
        support = scores.confusion[k - 1].sum() if k else scores.samples
        cells.append([name, told[0], told[1], share, told[2], str(support)])
    overall = ", ".join(
        f"{name} {text_table.number(scores.values[name], scores.intervals[name])}"
        for name in ("accuracy", "macro-F1", "kappa")
    )
    lines = [*text_table.lines(header, cells), f"{one.modality}: {overall}"]
    lines.append(
        f"{one.modality}: fitted on {one.classifier.samples} epochs of {one.train_subjects} "
        f"subjects ({train}), judged on {scores.samples} of {scores.subjects} ({test})"
        + ("" if one.classifier.converged else "; THE FIT DID NOT CONVERGE, lower --strength")
    )
    for shots in one.shots:
        mean, spread = shots.mean("macro AUROC"), shots.spread("macro AUROC")
        lines.append(
            f"{one.modality}: {shots.subjects} training subjects: macro AUROC {mean:.3f} "
            f"(SD {spread:.3f} over {len(shots.samples)} draws)"
        )
    lines += [f"{one.modality}: {name}: {why}" for name, why in scores.reasons.items()]
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax probe",
        description="Fits logistic regression to the sleep stages of frozen embeddings.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="DIR",
        help="folder of label files named as the nights, of any format in docs/annotations.md "
        "(default: the stages that are stored)",
    )
    parser.add_argument(
        "--modality",
        default="all",
        metavar="NAME",
        help="one modality by its name, all side by side, or each alone and then all "
        "(default: %(default)s)",
    )
    for flag, what in (("train", "fitted"), ("test", "judged")):
        parser.add_argument(
            f"--{flag}",
            default=flag,
            metavar="SPLIT",
            help=f"split that the classifier is {what} on (default: %(default)s)",
        )
    parser.add_argument(
        "--few-shot",
        type=_counts,
        default=(),
        metavar="K,K",
        help="also fit on so many training subjects, drawn repeatedly, as in 1,2,5,10",
    )
    parser.add_argument(
        "--repeats",
        type=job_flags.count,
        default=10,
        metavar="N",
        help="draws for each number of subjects (default: %(default)s)",
    )
    parser.add_argument(
        "--strength",
        type=float,
        metavar="C",
        help="inverse of the penalty on weights, scikit-learn's C (default: 0.01)",
    )
    embedding_flags.add(parser)
    return parser


def _counts(text: str) -> tuple[int, ...]:
    return tuple(sorted({job_flags.count(one.strip()) for one in text.split(",")}))
