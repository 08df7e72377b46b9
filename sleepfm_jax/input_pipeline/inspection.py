"""What a recording holds: its times, its channels, what each was taken for and whether it is used.

Only headers and attributes are read, no samples.
"""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import h5py

from sleepfm_jax.input_pipeline import channels, nights, recordings, source_files
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.source_files import Recorded, SourceSignal

SAYS_THE_FILE = "so says the preprocessed recording"


@dataclasses.dataclass(frozen=True)
class ChannelFound:
    """One channel of a recording.

    Attributes:
        label: as in the file.
        rate: Hz, in the file.
        unit: as in the file; empty where samples are z-scored.
        modality: what it was taken for; None for none of the four.
        site: electrode or place, if the label names one.
        reference: what an electrode was recorded against, if the label names it.
        reason: why it was taken for that.
        used: whether it goes into the model.
        why: why it is used, or why not.
    """

    label: str
    rate: float
    unit: str
    modality: Modality | None
    site: str | None
    reference: str | None
    reason: str
    used: bool
    why: str


@dataclasses.dataclass(frozen=True)
class Inspection:
    """A recording's contents.

    Attributes:
        path: the file.
        format: "EDF", "EDF+C", "EDF+D", "BDF", …, "WFDB" or "HDF5".
        duration: seconds, gaps included.
        gaps: (start, stop) of each, in seconds from the first sample; None where the file does
            not tell.
        channels: in the file's order.
        notes: sentences about what is odd and was put up with.
    """

    path: Path
    format: str
    duration: float
    gaps: tuple[tuple[float, float], ...] | None
    channels: tuple[ChannelFound, ...]
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Modality, ...]:
        """The modalities of which no channel is used."""
        return tuple(
            modality
            for modality in Modality
            if not any(c.used and c.modality is modality for c in self.channels)
        )


def inspect(path: str | os.PathLike[str], montage: Montage | None = None) -> Inspection:
    """Looks into a recording.

    Args:
        path: an EDF, BDF or HDF5 file, or the header of a WFDB record.
        montage: which channels to use; None: the default rules, and of a preprocessed recording
            every channel.

    Raises:
        InputError: the file cannot be read as a recording.
    """
    if Path(path).suffix.lower() in (".hdf5", ".h5") or h5py.is_hdf5(path):
        with recordings.open_recording(path) as recording:
            return _of_hdf5(recording, montage)
    with source_files.open_recording(path) as recording:
        return _of_signals(recording, montage or Montage())


def _of_signals(recording: Recorded, montage: Montage) -> Inspection:
    labels = [signal.label for signal in recording.signals]
    uses = _uses(labels, montage)
    signals: Sequence[SourceSignal] = recording.signals
    segments = recording.segments
    return Inspection(
        path=recording.path,
        format=recording.format,
        duration=recording.duration,
        gaps=tuple((before[1], after[0]) for before, after in itertools.pairwise(segments)),
        channels=tuple(
            _channel(signal.label, signal.rate, signal.unit, use)
            for signal, use in zip(signals, uses, strict=True)
        ),
        notes=() if labels else ("the file holds annotations only",),
    )


def _of_hdf5(recording: recordings.Recording, montage: Montage | None) -> Inspection:
    """The same channels as `nights.load` takes."""
    rules = nights.rules(recording, montage)
    if rules is None:
        uses = [
            _Use(recording.modalities[label], True, SAYS_THE_FILE) for label in recording.labels
        ]
    else:
        uses = _uses(recording.labels, rules)
    if montage is not None and rules is not montage:  # the file speaks where the user does not
        uses = [
            dataclasses.replace(use, why=SAYS_THE_FILE)
            if use.used and label not in montage.named
            else use
            for label, use in zip(recording.labels, uses, strict=True)
        ]
    return Inspection(
        path=recording.path,
        format="HDF5",
        duration=recording.duration,
        gaps=None,
        channels=tuple(
            _channel(label, recordings.RATE, "", use)
            for label, use in zip(recording.labels, uses, strict=True)
        ),
        notes=recording.notes,
    )


@dataclasses.dataclass(frozen=True)
class _Use:
    modality: Modality | None
    used: bool
    why: str


def _uses(labels: Sequence[str], montage: Montage) -> list[_Use]:
    """Of each label, in order, what the montage makes of it."""
    choice = montage.choose(labels)
    uses = {chosen.index: _Use(chosen.modality, True, chosen.reason) for chosen in choice.chosen}
    for index, label, reason in choice.left_out:
        uses[index] = _Use(channels.identify(label).modality, False, reason)
    return [uses[index] for index in range(len(labels))]


def _channel(label: str, rate: float, unit: str, use: _Use) -> ChannelFound:
    meaning = channels.identify(label)
    return ChannelFound(
        label=label,
        rate=rate,
        unit=unit,
        modality=use.modality,
        site=meaning.site,
        reference=meaning.reference,
        reason=meaning.reason,
        used=use.used,
        why=use.why,
    )
