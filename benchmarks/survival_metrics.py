"""C-indices and AUROC of a biobank: ours beside lifelines and scikit-survival.

First one label of 5000 subjects, 4 % of them with the event, times in whole days: each side in
turn, warmed up, the median of the runs; the results must be equal. Then everything that
`sleepfm-jax evaluate risk` computes of 1065 labels, with 1000 resamples of the subjects:

    python benchmarks/survival_metrics.py [--runs 9] [--labels 1065] [--threads 2]
"""

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from lifelines.utils import concordance_index
from sksurv.metrics import concordance_index_censored, cumulative_dynamic_auc
from sksurv.util import Surv

from sleepfm_jax.evaluate import auroc, bootstrap, concordance
from sleepfm_jax.evaluate.survival import YEAR

Result = TypeVar("Result")

SUBJECTS, RESAMPLES, SHARE = 5000, 1000, 0.04
WARM_UP = 2


def cohort(labels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log hazards (N, L), days (N, L) and events (N, L); records of 3 to 15 years a subject."""
    draw = np.random.default_rng(0)
    shape = (SUBJECTS, labels)
    log_hazard = draw.standard_normal(shape).astype(np.float32)
    end = draw.uniform(3, 15, (SUBJECTS, 1)) * YEAR
    onset = draw.standard_exponential(shape) * np.exp(-log_hazard) * 9 * YEAR * 1.55 / SHARE
    event = onset <= end
    return log_hazard, np.ceil(np.where(event, onset, end)).astype(np.float32), event


def side_by_side(sides: dict[str, Callable[[], float]], runs: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    results = {}
    for _ in range(WARM_UP + runs):
        for name, run in sides.items():
            start = time.perf_counter()
            results[name] = run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(taken[WARM_UP:]) for name, taken in seconds.items()}
    ours, *_ = sides
    for name, median in medians.items():
        taken = [1000 * value for value in seconds[name][WARM_UP:]]
        print(
            f"  {name:<28}{1000 * median:8.2f} ms  ({min(taken):.2f} to {max(taken):.2f})"
            f"  {median / medians[ours]:6.1f}  differs by {abs(results[name] - results[ours]):.0e}"
        )


def one_label(runs: int) -> None:
    log_hazard, days, event = cohort(1)
    score, until, ill = log_hazard[:, 0].astype(float), days[:, 0].astype(float), event[:, 0]
    horizon = auroc.SIX_YEARS
    late = until > horizon
    cut = Surv.from_arrays(ill & ~late, np.where(late, horizon + 1, until))
    print(f"one label of {SUBJECTS} subjects, {ill.sum()} events: C-index")
    side_by_side(
        {
            "sleepfm-jax": lambda: concordance.concordance(log_hazard, days, event)[0],
            "lifelines": lambda: float(concordance_index(until, -score, ill)),
            "scikit-survival": lambda: concordance_index_censored(ill, until, score)[0],
        },
        runs,
    )
    print("AUROC at six years")
    side_by_side(
        {
            "sleepfm-jax": lambda: auroc.auroc(log_hazard, days, event)[0, 0],
            "scikit-survival": lambda: cumulative_dynamic_auc(cut, cut, score, horizon)[0][0],
        },
        runs,
    )
    counts = bootstrap.multiplicities(SUBJECTS, RESAMPLES)
    few = [np.repeat(np.arange(SUBJECTS), counts[:, r].astype(int)) for r in range(1, 11)]

    def ten(index: Callable[[np.ndarray], float]) -> float:
        return sum(index(drawn) for drawn in few)

    print("C-index in 10 resamples (ours: in 1000)")
    side_by_side(
        {
            "sleepfm-jax, 1000": lambda: float(
                concordance.resampled(log_hazard, days, event, counts)[0, 1:11].sum()
            ),
            "lifelines, 10": lambda: ten(
                lambda d: float(concordance_index(until[d], -score[d], ill[d]))
            ),
            "scikit-survival, 10": lambda: ten(
                lambda d: concordance_index_censored(ill[d], until[d], score[d])[0]
            ),
        },
        runs,
    )


def all_labels(labels: int) -> None:
    log_hazard, days, event = cohort(labels)
    print(
        f"{labels} labels of {SUBJECTS} subjects, {100 * event.mean():.1f} % events, "
        f"{RESAMPLES} resamples, {len(os.sched_getaffinity(0))} cores"
    )
    parts: dict[str, tuple[float, float]] = {}
    start = time.perf_counter(), time.process_time()

    def timed(name: str, run: Callable[[], Result]) -> Result:
        begin = time.perf_counter(), time.process_time()
        result = run()
        parts[name] = time.perf_counter() - begin[0], time.process_time() - begin[1]
        return result

    counts = bootstrap.multiplicities(SUBJECTS, RESAMPLES)
    samples = timed(
        "C-indices in every resample",
        lambda: concordance.resampled(log_hazard, days, event, counts),
    )
    reasons = concordance.reasons(log_hazard, days, event)
    found = timed(
        "intervals and p-values", lambda: concordance.evaluate(samples, days, event, reasons)
    )
    areas = timed(
        "AUROC in every resample",
        lambda: auroc.auroc(log_hazard, days, event, multiplicities=counts),
    )
    parts["together"] = time.perf_counter() - start[0], time.process_time() - start[1]
    for name, (wall, processor) in parts.items():
        print(f"  {name:<28}{wall:8.1f} s, {processor:6.1f} s of processor time")
    print(f"  mean C-index {np.nanmean(found.estimate):.3f}, AUROC {np.nanmean(areas[:, 0]):.3f}")
    width = np.nanmean(found.upper - found.lower)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  mean width of the intervals {width:.3f}, peak memory {peak:.1f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="of each side (default: %(default)s)")
    parser.add_argument("--labels", type=int, default=1065, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="cores used (default: %(default)s)")
    flags = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: flags.threads])
    one_label(flags.runs)
    all_labels(flags.labels)


if __name__ == "__main__":
    main()
