"""Many nights to one store of five-minute windows."""

import dataclasses
import functools
import os
from collections.abc import Iterable
from pathlib import Path

from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.store_kinds import WINDOWS
from sleepfm_jax.input_pipeline.windows import Rule
from sleepfm_jax.jobs import pack_store, runner
from sleepfm_jax.jobs.cut_night import cut_night


def pack(
    paths: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    montage: Montage | None = None,
    *,
    splits: Splits | None = None,
    rule: Rule | None = None,
    workers: int = 1,
    overwrite: bool = False,
) -> runner.Summary:
    """Packs all nights into a store, which is there when complete and not before.

    Args:
        paths: recordings (HDF5), EDF, BDF and WFDB (.hea) files, and folders that are
            searched for them.
        output: folder that becomes the store; failures.csv in it lists nights that failed.
        montage: which channels to use; None: the default rules, and of a preprocessed recording
            every channel.
        splits: how nights are split; None: by the default fractions from seed 0.
        rule: which windows and channels are refused; None: the default.
        workers: processes that cut nights.
        overwrite: replace a store that is there.

    Raises:
        InputError: a path does not exist, something stands where the store should, the disk is
            full, or no window is left.
    """
    splits, rule = splits or Splits(), rule or Rule()
    montage = montage and dataclasses.replace(montage, caps=dict(montage.caps))  # picklable
    packed = pack_store.pack(
        WINDOWS,
        functools.partial(cut_night, montage=montage, splits=splits, rule=rule),
        paths,
        Path(output),
        splits,
        {"rule": dataclasses.asdict(rule)},
        workers=workers,
        overwrite=overwrite,
    )
    return packed.summary
