"""A night as clips: its scored part in epochs of 30 s, nine places at 256 Hz (spec §5).

From any recording that the project reads; docs/clips.md says what fills and what empties a place.
"""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import (
    clip_channels,
    clip_quality,
    clip_resample,
    recordings,
    source_files,
    stretches,
)
from sleepfm_jax.input_pipeline.clips import CHANNELS, RATE, SAMPLES, SECONDS, Rule
from sleepfm_jax.input_pipeline.hypnogram import UNSCORED, Hypnogram
from sleepfm_jax.input_pipeline.preprocessed_signals import PreprocessedSignals

Scale: TypeAlias = Literal["night", "none"]
SCALES: tuple[Scale, ...] = ("night", "none")
SUFFIXES = (".hdf5", ".h5")
MISSING, FLAT, OVERFLOW = "missing", "flat", "overflow"
OXYGEN = CHANNELS.index("SaO2")  # may be constant for half a minute and right
_SLACK = 0.5 / RATE  # seconds by which a clip may pass the end of a stretch


class AnnotationsOnly(InputError):  # noqa: N818 (named for what was found)
    """A file without signals, such as a hypnogram in EDF+."""


@dataclasses.dataclass(frozen=True)
class NightClips:
    """The clips of a night, in the order of time; none is dropped.

    Attributes:
        name: of the file, without folder and suffix.
        signals: (K, 9, 7680) float16 at 256 Hz; zeros where a place is empty.
        present: (K, 9) bool, which places hold a channel.
        stages: (K,) int8 at the middle of each clip, −1 unscored.
        starts: (K,) float64, seconds from the recording's start.
        labels: (9,) of the channels that fill the places; None where nothing does.
        left_out: (label, reason) of each channel that is not used.
        emptied: (K, 9) bool by reason, where a place that is filled in the night is empty:
            "missing" (a gap, or samples that are no numbers), "flat", "overflow" (of float16).
    """

    name: str
    signals: np.ndarray
    present: np.ndarray
    stages: np.ndarray
    starts: np.ndarray
    labels: tuple[str | None, ...]
    left_out: tuple[tuple[str, str], ...]
    emptied: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.starts)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Epochs that follow each other.

    Attributes:
        begin: of the first (seconds from the recording's start).
        count: K.
    """

    begin: float
    count: int

    @property
    def starts(self) -> np.ndarray:
        """(K,) float64 seconds."""
        return self.begin + SECONDS * np.arange(self.count)


def of_recording(
    path: str | os.PathLike[str],
    hypnogram: Hypnogram | None = None,
    scale: Scale = "night",
    places: Mapping[str, str | None] | None = None,
    rule: Rule | None = None,
) -> NightClips:
    """Cuts a recording into clips, one channel after the other.

    Args:
        path: EDF, BDF, the header of a WFDB record, or a preprocessed recording (HDF5).
        hypnogram: of the night; clips begin with its first scored stretch and end with its last.
            None, or nothing scored: the whole recording, unscored.
        scale: "night" z-scores each channel over its clips; "none" keeps the file's unit.
        places: which place single labels fill, as of `clip_channels.parse_named`.
        rule: that empties places; None: the default.

    Raises:
        InputError: the file cannot be read, is shorter than a clip, has no channel for any place,
            or its hypnogram scores nothing of it.
    """
    path = Path(path)
    with _opened(path) as recording:
        if not recording.signals:
            raise AnnotationsOnly(
                f"{path} holds annotations only: give the recording that they belong to"
            )
        grid = _grid(path, recording.duration, hypnogram)
        filled = clip_channels.fill([signal.label for signal in recording.signals], places)
        night = _empty(path.stem, grid, hypnogram)
        labels: list[str | None] = [None] * len(CHANNELS)
        left_out = [(label, reason) for _, label, reason in filled.left_out]
        for place, index in enumerate(filled.channels):
            if index is None:
                continue
            signal = recording.signals[index]
            reason = _fill(night, place, recording, signal, grid, scale, rule or Rule())
            if reason:
                left_out.append((signal.label, reason))
            else:
                labels[place] = signal.label
    if not any(labels):
        raise _nothing(path, left_out)
    return dataclasses.replace(night, labels=tuple(labels), left_out=tuple(left_out))


def _opened(path: Path) -> Any:  # each reads its own kind of signal
    if path.suffix.lower() in SUFFIXES:
        return PreprocessedSignals(recordings.open_recording(path))
    return source_files.open_recording(path)


def _grid(path: Path, duration: float, hypnogram: Hypnogram | None) -> Grid:
    """The epochs of the scored part that lie within the recording."""
    begin, end = 0.0, duration
    if hypnogram is not None and (scored := hypnogram.stages != UNSCORED).any():
        begin, end = hypnogram.starts[scored][0], min(hypnogram.stops[scored][-1], duration)
        if begin < 0:  # the scorer's epochs stay what they are
            begin += SECONDS * math.ceil(-begin / SECONDS)
        if begin >= end:
            raise InputError(
                f"{path} lasts {duration:g} s, of which its labels score nothing: check that they "
                "are of this night and count time from its start"
            )
    count = math.floor((end - begin + _SLACK) / SECONDS)
    if not count:
        raise InputError(
            f"{path} has {end - begin:g} s to be cut, less than a clip of {SECONDS:g} s: leave it "
            "out"
        )
    return Grid(float(begin), count)


def _empty(name: str, grid: Grid, hypnogram: Hypnogram | None) -> NightClips:
    """Clips without a channel."""
    shape = (grid.count, len(CHANNELS))
    unscored = np.full(grid.count, UNSCORED, np.int8)
    return NightClips(
        name=name,
        signals=np.zeros((*shape, SAMPLES), np.float16),
        present=np.zeros(shape, bool),
        stages=hypnogram.at(grid.starts + SECONDS / 2) if hypnogram else unscored,
        starts=grid.starts,
        labels=(),
        left_out=(),
        emptied={reason: np.zeros(shape, bool) for reason in (MISSING, FLAT, OVERFLOW)},
    )


def _fill(
    night: NightClips, place: int, recording: Any, signal: Any, grid: Grid, scale: Scale, rule: Rule
) -> str | None:
    """Fills one place of a night's clips; or tells why the channel is of no use."""
    values = np.zeros((grid.count, SAMPLES))
    whole = np.zeros(grid.count, bool)
    flat = np.zeros(grid.count, np.float32)
    low, high = math.inf, -math.inf
    for stretch in stretches.of_signal(recording, signal):
        inside = _inside(grid, stretch.start, stretch.stop)
        count = inside.stop - inside.start
        if count <= 0:
            continue
        first = grid.begin + SECONDS * inside.start - stretch.start
        checked = clip_quality.check(stretch.samples, signal.rate, first, count)
        whole[inside], flat[inside] = checked.whole, checked.flat
        low, high = min(low, checked.low), max(high, checked.high)
        numbers = clip_quality.filled(stretch.samples)
        values[inside] = clip_resample.to_clips(numbers, signal.rate, first, count)
    if not whole.any():
        return "no clip has all its samples: they are missing or no numbers"
    if low == high:
        return f"it is {low:g} throughout"
    if scale == "night":
        _standardise(values, whole)
    _keep(night, place, values, whole, flat > rule.flat_limit)
    return None


def _inside(grid: Grid, start: float, stop: float) -> slice:
    """The clips within a stretch of samples without a gap."""
    first = math.ceil((start - grid.begin - _SLACK) / SECONDS)
    last = math.floor((stop - grid.begin + _SLACK) / SECONDS)
    return slice(max(first, 0), min(last, grid.count))


def _standardise(values: np.ndarray, whole: np.ndarray) -> None:
    """Mean 0 and population standard deviation 1 over the clips that are whole, in place."""
    count = np.count_nonzero(whole) * SAMPLES
    values -= values.sum(axis=1)[whole].sum() / count
    squares = np.einsum("kt,kt->k", values, values)  # (K,)
    values /= math.sqrt(squares[whole].sum() / count)


def _keep(
    night: NightClips, place: int, values: np.ndarray, whole: np.ndarray, flat: np.ndarray
) -> None:
    """Puts (K, 7680) values where nothing is wrong with them, and notes what is."""
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    flat = flat & whole & (place != OXYGEN)
    overflow = np.isinf(halves).any(axis=1) & whole & ~flat
    good = whole & ~flat & ~overflow
    night.signals[good, place] = halves[good]
    night.present[:, place] = good
    for reason, clips in ((MISSING, ~whole), (FLAT, flat), (OVERFLOW, overflow)):
        night.emptied[reason][:, place] = clips


def _nothing(path: Path, left_out: list[tuple[str, str]]) -> InputError:
    """The error for a night that fills no place; what a channel was, but for its place, is told."""
    named = ", ".join(repr(label) for label, _ in left_out[:5])
    more = f" and {len(left_out) - 5} more" if len(left_out) > 5 else ""
    return InputError(
        f"{path} has no channel for any of the places {', '.join(CHANNELS)}, only {named}{more}: "
        "say what its channels are with --place LABEL=PLACE"
    )
