"""Many nights to one store of thirty-second clips."""

import collections
import dataclasses
import functools
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.clip_times import LETTERS
from sleepfm_jax.input_pipeline.clips import CHANNELS
from sleepfm_jax.input_pipeline.splits import FOUR_FRACTIONS, Splits
from sleepfm_jax.input_pipeline.store_index import NightEntry
from sleepfm_jax.input_pipeline.store_kinds import CLIPS
from sleepfm_jax.jobs import pack_store, runner
from sleepfm_jax.jobs.cut_clips import HowToCut, cut_clips

log = logging.getLogger(__name__)

UNSCORED = LETTERS[0]


def pack_clips(
    paths: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    how: HowToCut | None = None,
    *,
    splits: Splits | None = None,
    workers: int = 1,
    overwrite: bool = False,
) -> runner.Summary:
    """Packs all nights into a store, which is there when complete and not before.

    Args:
        paths: EDF, BDF and WFDB (.hea) files, preprocessed recordings (HDF5), and folders that
            are searched for them.
        output: folder that becomes the store; failures.csv in it lists nights that failed.
        how: to cut nights; None: the default, with labels from beside the recordings.
        splits: how nights are split; None: into four, by the default fractions from seed 0.
        workers: processes that cut nights.
        overwrite: replace a store that is there.

    Raises:
        InputError: a path or the labels do not exist, something stands where the store should, the
            disk is full, or no clip is left.
    """
    splits, how = splits or Splits(fractions=FOUR_FRACTIONS), how or HowToCut()
    if how.labels is not None and not how.labels.is_dir():
        raise InputError(f"{how.labels} is no folder: give the one with the nights' label files")
    packed = pack_store.pack(
        CLIPS,
        functools.partial(cut_clips, splits=splits, how=how),
        paths,
        Path(output),
        splits,
        {
            "rule": dataclasses.asdict(how.rule),
            "scale": how.scale,
            "places": dict(how.places),
        },
        workers=workers,
        overwrite=overwrite,
    )
    _tell_stages(packed.nights)
    _tell_places(packed.nights, how)
    return packed.summary


def _tell_stages(nights: Sequence[NightEntry]) -> None:
    """Logs how many clips each stage has in each split, and which nights have none."""
    by_split: dict[str, collections.Counter[str]] = {}
    for night in nights:
        by_split.setdefault(night.split, collections.Counter()).update(night.more["stages"])
    for split, stages in by_split.items():
        shown = ", ".join(f"{stages[letter]} {letter}" for letter in LETTERS if stages[letter])
        log.info("%s: %s", split, shown)
    unscored = [night.name for night in nights if set(night.more["stages"]) == {UNSCORED}]
    if unscored:
        log.warning(
            "%d of %d nights have no stages, such as %s: their clips serve pretraining alone; "
            "label files beside the recordings, or in --labels DIR, are named as the nights",
            len(unscored),
            len(nights),
            unscored[0],
        )


def _tell_places(nights: Sequence[NightEntry], how: HowToCut) -> None:
    """Logs places that no night fills, and labels that the user named and no night has."""
    labels = {p: {night.labels[i] for night in nights} - {""} for i, p in enumerate(CHANNELS)}
    empty = [place for place, found in labels.items() if not found]
    if empty:
        log.warning("no night has a channel for %s: empty throughout", ", ".join(empty))
    for label, place in how.places.items():
        if place and label not in labels[place]:
            log.warning("no night has a channel %r, which you named %s", label, place)
