"""What is in a store in a few numbers: kept with it, and told when it is packed."""

import collections
import logging
from collections.abc import Sequence
from typing import Any

from sleepfm_jax.input_pipeline.splits import NAMES, Splits
from sleepfm_jax.input_pipeline.window_index import NightEntry

log = logging.getLogger(__name__)


def how_split(splits: Splits) -> dict[str, Any]:
    """What a store keeps of how its nights were split.

    Args:
        splits: that were used.
    """
    if splits.published is not None:
        return {"split_by": "published", "subject": splits.subject}
    return {
        "split_by": "seed",
        "subject": splits.subject,
        "seed": splits.seed,
        "fractions": list(splits.fractions),
    }


def counts(nights: Sequence[NightEntry]) -> dict[str, Any]:
    """Nights, windows, and what the rule refused, over all nights.

    Args:
        nights: in the store.
    """
    dropped: collections.Counter[str] = collections.Counter()
    emptied: collections.Counter[str] = collections.Counter()
    for night in nights:
        dropped.update(night.dropped)
        emptied.update(night.emptied)
    return {
        "nights": len(nights),
        "windows": sum(night.windows for night in nights),
        "dropped_windows": dict(+dropped),
        "emptied_channels": dict(+emptied),
    }


def tell(nights: Sequence[NightEntry], splits: Splits) -> None:
    """Logs what is in the store, what the rule refused, and what is odd about the splits.

    Args:
        nights: in the store.
        splits: that were used.
    """
    by_split: dict[str, list[NightEntry]] = {}
    for night in nights:
        by_split.setdefault(night.split, []).append(night)
    for split, there in by_split.items():
        log.info("%s: %d nights, %d windows", split, len(there), sum(n.windows for n in there))
    total = counts(nights)
    log.info("windows dropped: %s", total["dropped_windows"] or "none")
    log.info("channels emptied in a window: %s", total["emptied_channels"] or "none")
    if splits.published is None:
        for name, share in zip(NAMES, splits.fractions, strict=True):
            if share and name not in by_split:
                log.warning("no night fell into split %s: give more nights or another seed", name)
    shared = _straddling(nights)
    if shared:
        log.warning("subjects in more than one split: %s", ", ".join(shared[:5]))


def _straddling(nights: Sequence[NightEntry]) -> list[str]:
    """Subjects in more than one split, which published splits may have."""
    splits_of: dict[str, set[str]] = {}
    for night in nights:
        splits_of.setdefault(night.subject, set()).add(night.split)
    return [subject for subject, found in splits_of.items() if len(found) > 1]
