"""The windows of one night, cut one by one from memory or from an open recording."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from sleepfm_jax.input_pipeline import nights, windows
from sleepfm_jax.input_pipeline.convert import nothing_usable, refuse_short
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.input_pipeline.recordings import NotFinite, Recording
from sleepfm_jax.input_pipeline.windows import SAMPLES, Rule, Screened


@dataclasses.dataclass(frozen=True)
class NightWindows:
    """The windows of one night before any is dropped, by number.

    Attributes:
        labels: (C,) of the channels.
        modality: (C,) int8.
        samples: of each channel.
        read: (start, stop) to those samples of all channels, (C, stop - start) float16; a channel
            with a sample that is no number there is NaN throughout.
    """

    labels: tuple[str, ...]
    modality: np.ndarray
    samples: int
    read: Callable[[int, int], np.ndarray]

    def __len__(self) -> int:
        return windows.count(self.samples)

    def screened(self, number: int, rule: Rule) -> Screened:
        """One window after the rule.

        Args:
            number: of the window within the night.
            rule: that decides.
        """
        start = number * SAMPLES
        part = self.read(start, min(start + SAMPLES, self.samples))
        return windows.screen(part, self.modality, rule)


def of_night(night: Night) -> NightWindows:
    """The windows of a night in memory.

    Args:
        night: all of it.
    """
    signals = night.signals
    return NightWindows(
        night.labels, night.modality, signals.shape[1], lambda start, stop: signals[:, start:stop]
    )


def of_recording(recording: Recording, montage: Montage | None = None) -> NightWindows:
    """The windows of an open recording, of which only what is asked for is read.

    Args:
        recording: that stays open.
        montage: which channels to use; None: the default rules, and of a preprocessed recording
            every channel.

    Raises:
        InputError: it is shorter than one patch, or has none of the four modalities.
    """
    refuse_short(recording.path, recording.duration)
    wanted, _ = nights.wanted(recording, montage)
    if not wanted:
        raise nothing_usable(recording.path, recording.labels)
    modality = np.array([*wanted.values()], np.int8)
    labels = tuple(wanted)
    read = functools.partial(_read, recording, labels)
    return NightWindows(labels, modality, recording.samples, read)


def _read(recording: Recording, labels: tuple[str, ...], start: int, stop: int) -> np.ndarray:
    part = np.empty((len(labels), stop - start), np.float16)  # (C, n)
    with np.errstate(over="ignore"):  # float32 beyond float16 is infinite: no number either
        for row, label in zip(part, labels, strict=True):
            try:
                row[:] = recording.read(label, start, stop)
            except NotFinite:
                row[:] = np.nan
    return part
