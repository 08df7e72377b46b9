"""Rows of the tables about risks: a line a label, with the reason where a number is not known."""

import numpy as np

from sleepfm_jax.evaluate import auroc, bootstrap
from sleepfm_jax.evaluate.concordance import FEWEST_EVENTS, Discrimination
from sleepfm_jax.input_pipeline.outcomes import OutcomeTable


def metrics(
    log_hazard: np.ndarray,
    table: OutcomeTable,
    c_index: Discrimination,
    areas: np.ndarray,
    horizon: float,
) -> list[dict[str, object]]:
    """C-index and AUROC of each label.

    Args:
        log_hazard: (N, L).
        table: outcomes of the N subjects and L labels.
        c_index: by label.
        areas: (L, 1 + R) AUROC at the horizon, the estimate first.
        horizon: days.
    """
    lower, upper = bootstrap.interval(areas[:, 1:])
    cases = (table.event & (table.time <= horizon)).sum(axis=0)
    rows: list[dict[str, object]] = []
    for label, row in enumerate(discrimination(c_index, table, "c_index")):
        columns = log_hazard[:, label], table.time[:, label], table.event[:, label]
        few = cases[label] < FEWEST_EVENTS
        why = auroc.reason(*columns, horizon)
        rows.append(
            {
                **row,
                "auroc": areas[label, 0],
                "auroc_lower": np.nan if few else lower[label],
                "auroc_upper": np.nan if few else upper[label],
                "cases": cases[label],
                "auroc_reason": why
                or (f"no interval: {cases[label]} events are too few" if few else ""),
            }
        )
    return rows


def discrimination(
    found: Discrimination, table: OutcomeTable, name: str
) -> list[dict[str, object]]:
    """One number of each label with its interval and p-values.

    Args:
        found: the number, by label.
        table: outcomes.
        name: of the number's column.
    """
    return [
        {
            "phecode": table.labels[label],
            "phenotype": table.phenotypes[label],
            "subjects": (table.time[:, label] >= 0).sum(),
            "events": table.event[:, label].sum(),
            name: found.estimate[label],
            "lower": found.lower[label],
            "upper": found.upper[label],
            "p": found.p[label],
            "p_bonferroni": found.p_bonferroni[label],
            "q": found.q[label],
            "reason": found.reasons[label],
        }
        for label in range(len(table.labels))
    ]
