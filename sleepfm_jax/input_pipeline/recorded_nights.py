"""Nights as signals, in runs of five-minute windows: what a model learns from end to end."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import night_windows, recordings
from sleepfm_jax.input_pipeline.augment import choose
from sleepfm_jax.input_pipeline.batching import MOST_SLOTS
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.night_files import Reasons
from sleepfm_jax.input_pipeline.windows import EMPTY, PATCH, PATCHES


@dataclasses.dataclass(frozen=True)
class _Night:
    path: Path
    samples: int


class RecordedNights:
    """Signals of many nights, of which only the runs that are wanted are read.

    Attributes:
        names: (N,) of the nights.
        steps: (N,) int32, whole 5-s patches of each night.
        unit: 60, steps that runs begin at multiples of: they are made of windows.
        left_out: (night, reason) of each night that cannot be used.
    """

    unit = PATCHES

    def __init__(
        self, files: Mapping[str, Path], slots: int = 16, montage: Montage | None = None
    ) -> None:
        """Opens every recording once, without reading its samples.

        Args:
            files: recordings in HDF5 by the names of the nights, as of `night_files.find`.
            slots: channels of a row, 4 to 24; a night with more gives some of them.
            montage: which channels to use; None: the default rules, and of a preprocessed
                recording every channel.

        Raises:
            InputError: the number of slots makes no sense.
        """
        if not len(Modality) <= slots <= MOST_SLOTS:
            raise InputError(f"slots is {slots}: give {len(Modality)} to {MOST_SLOTS}")
        self._slots = slots
        # caps as a plain dict can be pickled, the default ones cannot
        self._montage = montage and dataclasses.replace(montage, caps=dict(montage.caps))
        self._nights: list[_Night] = []
        left_out, names = [], []
        for name, path in files.items():
            try:
                self._nights.append(_Night(path, self._samples_of(path)))
            except InputError as error:
                left_out.append((name, str(error)))
                continue
            names.append(name)
        self.names = tuple(names)
        self.steps = np.array([night.samples // PATCH for night in self._nights], np.int32)
        self.left_out: Reasons = tuple(left_out)

    def rows(self, b: int, T: int) -> dict[str, np.ndarray]:
        """Empty rows of a batch: signals (b, slots, T·640), modality (b, slots), patches (b,)."""
        return {
            "signals": np.zeros((b, self._slots, T * PATCH), np.float16),
            "modality": np.full((b, self._slots), EMPTY, np.int8),
            "patches": np.zeros(b, np.int32),
        }

    def fill(
        self,
        batch: dict[str, np.ndarray],
        row: int,
        night: int,
        run: slice,
        rng: np.random.Generator,
    ) -> None:
        """Puts a run of a night's patches at the beginning of an empty row.

        A channel with samples in the run that are no numbers is not there.

        Args:
            batch: of `rows`.
            row: of the batch.
            night: number of the night.
            run: its patches.
            rng: chooses the channels where the night has more than slots.

        Raises:
            InputError: the file is damaged, or has changed; or no channel is left.
        """
        known = self._nights[night]
        with recordings.open_recording(known.path) as recording:
            if recording.samples != known.samples:
                raise InputError(f"{known.path} has changed since it was opened: start again")
            windows = night_windows.of_recording(recording, self._montage)
            signals = windows.read(run.start * PATCH, run.stop * PATCH)  # (C, n)
        modality = np.where(np.isfinite(signals).all(axis=1), windows.modality, EMPTY)  # (C,)
        chosen = choose(modality, self._slots, rng)
        C = len(chosen)
        if not C:
            raise InputError(
                f"{known.path} has no channel whose samples are all numbers from {run.start * 5} "
                f"to {run.stop * 5} s: leave the night out"
            )
        batch["signals"][row, :C, : signals.shape[1]] = signals[chosen]
        batch["modality"][row, :C] = modality[chosen]
        batch["patches"][row] = run.stop - run.start

    def _samples_of(self, path: Path) -> int:
        with recordings.open_recording(path) as recording:
            return night_windows.of_recording(recording, self._montage).samples
