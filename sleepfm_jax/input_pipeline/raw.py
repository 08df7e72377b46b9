"""An `mne.io.Raw` as a source of signals, with the interface of an open EDF recording."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # importing MNE takes a while, and whoever has a Raw has imported it
    import mne


@dataclasses.dataclass(frozen=True)
class RawSignal:
    """One channel of a Raw.

    Attributes:
        index: position among the Raw's channels.
        label: the channel's name.
        rate: samples per second (Hz), one for all channels.
        samples: samples it holds.
        unit: "V" where MNE counts in volts, else "".
        physical_min: minus infinity: a Raw does not tell what its device could measure.
        physical_max: plus infinity.
    """

    index: int
    label: str
    rate: float
    samples: int
    unit: str
    physical_min: float = -math.inf
    physical_max: float = math.inf


class RawRecording:
    """A Raw, read like `edf.EdfRecording`: one channel at a time, in MNE's units.

    The Raw stays its owner's: leaving the context closes nothing. MNE keeps all channels at one
    rate, having brought slower ones up to it, and knows no gaps.

    Attributes:
        path: the Raw's first file; None where it was made in memory.
        format: "mne.io.Raw".
        signals: all channels.
        highest_rate: the rate of all channels (Hz).
        duration: seconds from the first to the end of the last sample.
        segments: one (start, stop), in seconds.
    """

    def __init__(self, raw: "mne.io.BaseRaw") -> None:
        """Wraps `raw`."""
        from mne.io.constants import FIFF

        self._raw = raw
        rate = float(raw.info["sfreq"])
        names = [name for name in raw.filenames if name]
        self.path = Path(names[0]) if names else None
        self.format = "mne.io.Raw"
        self.signals = tuple(
            RawSignal(
                index=index,
                label=channel["ch_name"],
                rate=rate,
                samples=raw.n_times,
                unit="V" if channel["unit"] == FIFF.FIFF_UNIT_V else "",
            )
            for index, channel in enumerate(raw.info["chs"])
        )
        self.highest_rate = rate
        self.duration = raw.n_times / rate
        self.segments = ((0.0, self.duration),)

    def read(self, signal: RawSignal, segment: int = 0) -> np.ndarray:
        """Reads one channel.

        Args:
            signal: one of `signals`.
            segment: 0, the only one.

        Returns:
            (samples,) float64.

        Raises:
            IndexError: there is no such segment.
        """
        if segment != 0:
            raise IndexError(f"a Raw has one segment, not {segment + 1}")
        return self._raw.get_data(picks=[signal.index])[0]

    def annotations(self) -> list[tuple[float, float, str]]:
        """Reads the Raw's annotations.

        Returns:
            (onset in seconds from the first sample, duration in seconds, text), by onset.
        """
        start = self._raw.first_time  # MNE counts onsets from the acquisition's start
        return [
            (float(entry["onset"]) - start, float(entry["duration"]), str(entry["description"]))
            for entry in self._raw.annotations
        ]

    def __enter__(self) -> "RawRecording":
        return self

    def __exit__(self, *_: object) -> None:
        """Closes nothing."""
