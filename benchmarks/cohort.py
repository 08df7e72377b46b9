"""Sleep stages and disease risk on a simulated cohort, from nothing to figures: how good, how long.

200 nights of half an hour are simulated, preprocessed and embedded by a newborn foundation model
of fixed seed. A stager learns from four fifths of the subjects and is judged by the last fifth;
disease risk is learnt five times, each time without another fifth, which it is judged by. Whoever
is judged decides nothing: the numbers of epochs are fixed.

    python benchmarks/cohort.py [--folder FOLDER] [--seed 1] [--nights 200]

prints every figure beside its baseline and the ceiling that the simulator's truth is, and the
seconds of each step; exit status 1 if the cohort learns less than it should.
"""

import argparse
import contextlib
import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

WORKERS = 2
NEWBORN_SEED = 0
MODEL = {"embed_dim": 64, "num_heads": 4, "num_layers": 2, "pooling_heads": 4, "feed_forward": 128}
# Two trainings share the cores, each on one: the steps of an LSTM are too small for two.
ON_ONE_CORE = (
    "import os, sys; core = int(sys.argv.pop(1)); "
    "getattr(os, 'sched_setaffinity', lambda *_: None)(0, {core}); "
    "from sleepfm_jax.main import main; sys.exit(main())"
)


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the cohort is and how long its heads learn.

    Attributes:
        nights: one of each subject.
        hours: of each night.
        seed: of the cohort and of its folds.
        montage: of one laboratory for all nights; empty: drawn for each night.
        folds: of the cross-validation.
        staging: values that differ from the stager's configuration `tiny`.
        risk: values that differ from the risk model's configuration `cohort`.
    """

    nights: int = 200
    hours: float = 0.5
    seed: int = 1
    montage: str = ""
    folds: int = 5
    staging: tuple[str, ...] = ()
    risk: tuple[str, ...] = (
        *("epochs=20", "model.embed_dim=64", "model.pooling_heads=4"),
        *("optimizer.learning_rate=3e-3", "night_decay=5"),
    )


@dataclasses.dataclass(frozen=True)
class Staged:
    """Macro-F1 at 30 s on held-out subjects.

    Attributes:
        model: of the stager.
        baseline: of age, sex and time since the start, boosted trees.
        kappa: of the stager.
        epochs: how many were judged.
    """

    model: float
    baseline: float
    kappa: float
    epochs: int


@dataclasses.dataclass(frozen=True)
class Risks:
    """C-index by disease, the mean over folds of held-out subjects; each (L,).

    Attributes:
        dependent: whether the disease depends on sleep.
        model: of the night with age and sex.
        demographics: of age and sex in a Cox regression.
        truth: of the true log hazards, the ceiling.
        truth_demographics: of the true log hazards without what sleep brings.
    """

    dependent: np.ndarray
    model: np.ndarray
    demographics: np.ndarray
    truth: np.ndarray
    truth_demographics: np.ndarray

    def gain(self, dependent: bool) -> float:
        """Over demographics, the mean over the diseases that depend on sleep, or do not."""
        return float(np.nanmean((self.model - self.demographics)[self.dependent == dependent]))


class Seconds(dict[str, float]):
    """Of each step, by name."""

    @contextlib.contextmanager
    def of(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self[step] = self.get(step, 0.0) + time.perf_counter() - start


def sleepfm(*arguments: str, core: int | None = None, cache: Path | None = None) -> None:
    """A command in a process of its own, on one core if given.

    Raises:
        CalledProcessError: it failed; what it said is printed.
    """
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    if cache:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    start = ["-m", "sleepfm_jax.main"] if core is None else ["-c", ON_ONE_CORE, str(core)]
    command = [sys.executable, *start, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, command[:6])


def newborn(path: Path) -> None:
    """A foundation model that has learnt nothing: random features, the same for every cohort."""
    from flax import nnx

    from sleepfm_jax import saved_model
    from sleepfm_jax.models.foundation import FoundationConfig, SleepFM
    from sleepfm_jax.models.weights import extract

    config = FoundationConfig(**MODEL, dropout=0.0, max_patches=60)
    weights = extract(SleepFM(config, rngs=nnx.Rngs(NEWBORN_SEED)))
    saved_model.save(path, saved_model.SavedModel(config, weights))


def prepare(folder: Path, size: Size, seconds: Seconds) -> None:
    """The cohort, its recordings and its embeddings."""
    workers = ("--workers", str(WORKERS))
    cohort, recordings = folder / "cohort", folder / "recordings"
    many = ["--nights", str(size.nights), "--hours", str(size.hours), "--seed", str(size.seed)]
    many += ["--montage", size.montage] if size.montage else []
    with seconds.of("simulate"):
        sleepfm("simulate", *many, *workers, "--output", str(cohort))
    with seconds.of("preprocess"):
        sleepfm("preprocess", *workers, "--output", str(recordings), str(cohort / "edf"))
    with seconds.of("embed"):
        newborn(folder / "newborn")
        embeddings = ("--output", str(folder / "embeddings"), str(recordings))
        sleepfm("embed", "--model", str(folder / "newborn"), *embeddings)


def subjects_of(folder: Path) -> list[str]:
    """Study IDs, in the order of the tables."""
    with (folder / "cohort" / "demographics.csv").open(newline="") as file:
        return [row["Study ID"] for row in csv.DictReader(file)]


def split(folder: Path, size: Size) -> list[list[str]]:
    """Writes a split file a fold, and returns the subjects each one holds out."""
    subjects = subjects_of(folder)
    order = np.random.default_rng(size.seed).permutation(len(subjects))
    held_out = [[subjects[i] for i in sorted(order[k :: size.folds])] for k in range(size.folds)]
    for k, test in enumerate(held_out):
        train = [subject for subject in subjects if subject not in set(test)]
        (folder / f"fold{k}.json").write_text(json.dumps({"train": train, "test": test}))
    return held_out


def train(folder: Path, size: Size, seconds: Seconds) -> None:
    """The stager on the first fold's subjects and risk on every fold's, two at a time."""
    cohort = folder / "cohort"
    jobs = [("staging", "tiny", 0, cohort / "stages", size.staging)]
    jobs += [("diagnosis", "cohort", k, cohort, size.risk) for k in range(size.folds)]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    free = [*cores[:WORKERS]] * (WORKERS if len(cores) < WORKERS else 1)

    def run(job: tuple[str, str, int, Path, tuple[str, ...]]) -> None:
        task, variant, k, labels, values = job
        workdir = folder / f"{task}{k}"
        shutil.rmtree(workdir, ignore_errors=True)
        given = {
            "backbone": folder / "newborn",
            "data.embeddings": folder / "embeddings",
            "data.labels": labels,
            "data.splits": folder / f"fold{k}.json",
            "data.validation": "",
        }
        flags = [*(f"{name}={value}" for name, value in given.items()), *values]
        core = free.pop()
        start = time.perf_counter()
        sleepfm(
            "finetune",
            f"--config=sleepfm_jax/configs/{task}.py:{variant}",
            f"--workdir={workdir}",
            *(f"--config.{flag}" for flag in flags),
            core=core,
            cache=folder / "programs",
        )
        spent[f"{task} {k}"] = time.perf_counter() - start
        free.append(core)

    spent: dict[str, float] = {}
    with seconds.of("train heads"), ThreadPoolExecutor(len(free)) as pool:
        list(pool.map(run, jobs))
    print(", ".join(f"{job} {taken:.0f} s" for job, taken in sorted(spent.items())))


def stage_truth(folder: Path, subject: str) -> np.ndarray:
    """(K,) stages of the night's 30-s epochs."""
    from sleepfm_jax.input_pipeline import annotations

    hypnogram = annotations.read_hypnogram(folder / "cohort" / "stages" / f"{subject}.csv")
    return hypnogram.at(np.arange(round(hypnogram.stops[-1] / 30)) * 30.0 + 15.0)


def judge_staging(folder: Path, held_out: Sequence[str]) -> Staged:
    """The stager, and what age, sex and the time know of stages, on held-out nights."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from sleepfm_jax.evaluate import staging
    from sleepfm_jax.inference.heads import load_stager
    from sleepfm_jax.input_pipeline import embeddings, hypnogram

    stager = load_stager(folder / "staging0")
    people = dict(zip(subjects_of(folder), demographics(folder), strict=True))
    truth = {subject: stage_truth(folder, subject) for subject in people}

    def features(subject: str) -> np.ndarray:
        minutes = np.arange(len(truth[subject]))[:, None] / 2
        return np.hstack([minutes, np.broadcast_to(people[subject], (len(minutes), 2))])

    learnt = [subject for subject in people if subject not in set(held_out)]
    trees = HistGradientBoostingClassifier(class_weight="balanced", random_state=0)
    trees.fit(np.vstack([*map(features, learnt)]), np.concatenate([truth[s] for s in learnt]))
    told, guessed = [], []
    for subject in held_out:
        night = embeddings.read(folder / "embeddings", subject)
        likely = hypnogram.epochs(stager.stage(night))[: len(truth[subject])]
        told.append(hypnogram.most_likely(likely))
        guessed.append(trees.predict(features(subject)))
    scored = np.concatenate([truth[subject] for subject in held_out])
    model, baseline = (staging.confusion(scored, np.concatenate(x)) for x in (told, guessed))
    return Staged(
        float(staging.macro_f1(model)),
        float(staging.macro_f1(baseline)),
        float(staging.kappa(model)),
        len(scored),
    )


def demographics(folder: Path) -> np.ndarray:
    """(N, 2) age and sex as the models take them."""
    from sleepfm_jax.input_pipeline.demographics import Encoding, read_demographics

    table = read_demographics(folder / "cohort" / "demographics.csv")
    return table.encode(subjects_of(folder), Encoding())


def truths(folder: Path, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """True log hazards (N, L), and those without what sleep brings (N, L)."""
    with (folder / "cohort" / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = "log_hazard_", "log_hazard_demographics_"
    full, alone = (
        np.array([[float(row[f"{column}{label}"]) for label in labels] for row in rows])
        for column in columns
    )
    return full, alone


def cox_of_demographics(
    people: np.ndarray, days: np.ndarray, event: np.ndarray, of: np.ndarray
) -> np.ndarray:
    """Log hazards (K, L) of people (K, 2) by Cox regressions fitted to others.

    Args:
        people: (N, 2) of those who are fitted.
        days: (N, L) to the event or the end of the records.
        event: (N, L) bool.
        of: (K, 2).
    """
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    mean, spread = people.mean(axis=0), people.std(axis=0)
    found = np.zeros((len(of), days.shape[1]))
    for label in np.flatnonzero(event.any(axis=0)):
        outcome = Surv.from_arrays(event[:, label], days[:, label])
        fitted = CoxPHSurvivalAnalysis(alpha=0.1).fit((people - mean) / spread, outcome)
        found[:, label] = fitted.predict((of - mean) / spread)
    return found


def judge_risks(folder: Path, held_out: Sequence[Sequence[str]]) -> Risks:
    """Every disease's C-index on held-out subjects: the model, age and sex, and the truth."""
    from sleepfm_jax.evaluate.concordance import concordance
    from sleepfm_jax.inference.heads import load_risk
    from sleepfm_jax.input_pipeline import embeddings, outcomes

    subjects, people = subjects_of(folder), demographics(folder)
    table = outcomes.read_outcomes(folder / "cohort").of_subjects(subjects)
    full, alone = truths(folder, table.labels)
    found: dict[str, list[np.ndarray]] = {}
    for k, test in enumerate(held_out):
        risk = load_risk(folder / f"diagnosis{k}")
        rows = np.isin(subjects, list(test))
        nights = [embeddings.read(folder / "embeddings", s) for s in np.array(subjects)[rows]]
        both = zip(nights, people[rows], strict=True)
        fitted = people[~rows], table.time[~rows], table.event[~rows]
        told = {
            "model": np.stack([risk.risk(night, person) for night, person in both]),
            "demographics": cox_of_demographics(*fitted, people[rows]),
            "truth": full[rows],
            "truth_demographics": alone[rows],
        }
        for name, log_hazard in told.items():
            index = concordance(log_hazard, table.time[rows], table.event[rows])
            found.setdefault(name, []).append(index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a disease of nobody has no C-index
        means = {name: np.nanmean(indices, axis=0) for name, indices in found.items()}
    return Risks((full != alone).any(axis=0), **means)


def run(folder: Path, size: Size) -> tuple[Staged, Risks, Seconds]:
    """All of it; what FOLDER has already is used again, but heads learn anew."""
    seconds = Seconds()
    prepare(folder, size, seconds)
    held_out = split(folder, size)
    train(folder, size, seconds)
    with seconds.of("evaluate"):
        staged = judge_staging(folder, held_out[0])
        risks = judge_risks(folder, held_out)
    return staged, risks, seconds


def report(staged: Staged, risks: Risks, seconds: Seconds) -> bool:
    """Prints the figures; whether they are what a cohort should give."""
    print(f"macro-F1 of stages, {staged.epochs} epochs of 30 s of held-out subjects")
    print(f"  model                     {staged.model:.3f}  (kappa {staged.kappa:.3f})")
    print(f"  age, sex and time         {staged.baseline:.3f}")
    for dependent, name in ((True, "depend on sleep"), (False, "do not depend on sleep")):
        rows = risks.dependent == dependent
        print(f"C-index, mean over the {rows.sum()} diseases that {name}")
        for what in ("model", "demographics", "truth", "truth_demographics"):
            print(f"  {what.replace('_', ', '):<25} {np.nanmean(getattr(risks, what)[rows]):.3f}")
        print(f"  gain over demographics    {risks.gain(dependent):+.3f}")
    print("  ".join(f"{step} {taken:.0f} s" for step, taken in seconds.items()))
    checks = {
        "macro-F1 ≥ 0.80": staged.model >= 0.80,
        "≥ 0.1 above the baseline": staged.model >= staged.baseline + 0.1,
        "gain ≥ 0.08 where sleep matters": risks.gain(True) >= 0.08,
        "within 0.03 where it does not": risks.gain(False) >= -0.03,
        f"under 15 minutes ({sum(seconds.values()):.0f} s)": sum(seconds.values()) < 900,
    }
    for check, met in checks.items():
        print(f"{'met   ' if met else 'MISSED'}  {check}")
    return all(checks.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="default: a new one, removed in the end")
    parser.add_argument("--seed", type=int, default=Size.seed)
    parser.add_argument("--nights", type=int, default=Size.nights)
    flags = parser.parse_args()
    size = Size(nights=flags.nights, seed=flags.seed)
    with contextlib.ExitStack() as stack:
        folder = flags.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        return 0 if report(*run(folder, size)) else 1


if __name__ == "__main__":
    sys.exit(main())
