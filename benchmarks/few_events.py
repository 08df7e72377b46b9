"""What intervals and p-values of the C-index are worth for rare diseases, on simulated cohorts.

300 subjects, 400 cohorts for each rate of events, 200 resamples: how often the 95 % interval holds
the mean C-index of all cohorts; and how often scores that are noise have p < 0.05, by the
bootstrap's standard error alone and by the larger one of it and that of shuffled scores:

    python benchmarks/few_events.py
"""

import numpy as np

from sleepfm_jax.evaluate import bootstrap, concordance
from sleepfm_jax.evaluate.significance import z_test

SUBJECTS, COHORTS, RESAMPLES = 300, 400, 200
RATES = (2, 4, 7, 14, 30)  # events expected of a subject like the average one, times the subjects


def cohorts(
    draw: np.random.Generator, N: int, L: int, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, L) true log hazards, times and events of L cohorts."""
    log_hazard = draw.standard_normal((N, L))
    onset = draw.exponential(np.exp(-log_hazard)) / share
    end = draw.uniform(0.2, 1, (N, L))
    return log_hazard, np.minimum(onset, end), onset <= end


def held_and_found(draw: np.random.Generator, rate: float) -> tuple[float, ...]:
    """Mean events and C-index, coverage; false finds and least p with each standard error."""
    log_hazard, time, event = cohorts(draw, SUBJECTS, COHORTS, rate / SUBJECTS)
    counts = bootstrap.multiplicities(SUBJECTS, RESAMPLES)
    samples = concordance.resampled(log_hazard, time, event, counts)
    lower, upper = bootstrap.interval(samples[:, 1:])
    known = np.isfinite(samples[:, 0])
    truth = samples[known, 0].mean()
    noise = concordance.resampled(draw.standard_normal(time.shape), time, event, counts)
    error = bootstrap.standard_error(noise[:, 1:])
    alone = z_test(noise[:, 0] - 0.5, error)[known]
    both = z_test(noise[:, 0] - 0.5, np.fmax(error, concordance.null_error(time, event)))[known]
    return (
        float(event.sum(axis=0).mean()),
        float(truth),
        float(((lower <= truth) & (truth <= upper))[known].mean()),
        float((alone < 0.05).mean()),
        float(np.nanmin(alone)),
        float((both < 0.05).mean()),
        float(np.nanmin(both)),
    )


def main() -> None:
    draw = np.random.default_rng(0)
    print(f"{COHORTS} cohorts of {SUBJECTS} subjects for each rate")
    print("events   C-index   interval holds it   p < 0.05 of noise: bootstrap   ours")
    for rate in RATES:
        events, truth, held, alone, least, both, ours = held_and_found(draw, rate)
        print(
            f"{events:6.1f}   {truth:7.3f}   {held:16.0%}   {alone:18.1%} (least {least:.0e})"
            f"   {both:6.1%} (least {ours:.0e})"
        )


if __name__ == "__main__":
    main()
