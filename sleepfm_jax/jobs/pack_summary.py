"""What is in a store in a few numbers: kept with it, and told when it is packed."""

import collections
import logging
from collections.abc import Sequence
from typing import Any

from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.store_index import NightEntry
from sleepfm_jax.input_pipeline.store_kinds import Kind

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


def counts(nights: Sequence[NightEntry], kind: Kind) -> dict[str, Any]:
    """Nights, windows or clips, and what the rule refused, over all nights.

    Args:
        nights: in the store.
        kind: of the store.
    """
    dropped: collections.Counter[str] = collections.Counter()
    emptied: collections.Counter[str] = collections.Counter()
    for night in nights:
        dropped.update(night.dropped)
        emptied.update(night.emptied)
    return {
        "nights": len(nights),
        kind.many: sum(night.records for night in nights),
        f"dropped_{kind.many}": dict(+dropped),
        "emptied_channels": dict(+emptied),
    }


def tell(nights: Sequence[NightEntry], splits: Splits, kind: Kind) -> None:
    """Logs what is in the store, what the rule refused, and what is odd about the splits.

    Args:
        nights: in the store.
        splits: that were used.
        kind: of the store.
    """
    by_split: dict[str, list[NightEntry]] = {}
    for night in nights:
        by_split.setdefault(night.split, []).append(night)
    for split, there in by_split.items():
        records = sum(night.records for night in there)
        log.info("%s: %d nights, %d %s", split, len(there), records, kind.many)
    total = counts(nights, kind)
    log.info("%s dropped: %s", kind.many, total[f"dropped_{kind.many}"] or "none")
    log.info("channels emptied in a %s: %s", kind.one, total["emptied_channels"] or "none")
    if splits.published is None:
        for name, share in zip(splits.names, splits.fractions, strict=True):
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
