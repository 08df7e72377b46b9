"""A night from any source (EDF, BDF, WFDB, an MNE Raw, a recording in HDF5), ready for the model.

Through preprocessed HDF5 or directly from the signals: the float16 samples are the same.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.input_pipeline import recordings
from sleepfm_jax.input_pipeline.convert import (
    NOT_FINITE,
    Conversion,
    Source,
    convert,
    nothing_usable,
    refuse_short,
)
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.input_pipeline.recordings import NotFinite, Recording

__all__ = ["Conversion", "Night", "convert", "load"]


@dataclasses.dataclass(frozen=True)
class Night:
    """A night as the model takes it: channel slots, each tagged with its modality.

    Attributes:
        name: of the source, without folder and suffix.
        labels: (C,) of the channels.
        modality: (C,) int8, `Modality` of each channel.
        signals: (C, N) float16, 128 Hz, z-scored.
        provenance: where it comes from.
        left_out: (label, reason) of each channel that is not used.
    """

    name: str
    labels: tuple[str, ...]
    modality: np.ndarray
    signals: np.ndarray
    provenance: Mapping[str, str | float]
    left_out: tuple[tuple[str, str], ...]


def load(source: "Source | Recording", montage: Montage | None = None, threads: int = 1) -> Night:
    """Loads a whole night.

    >>> night = load("night.edf")  # doctest: +SKIP
    >>> night.signals.shape, night.labels[:2]  # doctest: +SKIP
    ((13, 3686400), ('C3-M2', 'C4-M1'))

    Args:
        source: path to EDF, BDF, a WFDB header or HDF5, an `mne.io.Raw`, or any of these opened.
        montage: which channels to use; None: the default rules, and of a preprocessed recording
            every channel.
        threads: that convert channels.

    Raises:
        InputError: the source cannot be read, has none of the four modalities, or is shorter than
            one patch (5 s).
    """
    if isinstance(source, str | os.PathLike) and _is_hdf5(Path(source)):
        with recordings.open_recording(source) as recording:
            return _load_recording(recording, montage)
    if isinstance(source, Recording):
        return _load_recording(source, montage)
    with convert(source, montage, threads) as night:
        signals = list(night)
        return Night(
            name=night.name,
            labels=tuple(signal.label for signal in signals),
            modality=np.array([signal.modality for signal in signals], np.int8),
            signals=np.stack([signal.samples for signal in signals]),  # (C, N)
            provenance=night.provenance,
            left_out=tuple(night.left_out),
        )


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in (".hdf5", ".h5") or (path.is_file() and h5py.is_hdf5(path))


def _load_recording(recording: Recording, montage: Montage | None) -> Night:
    refuse_short(recording.path, recording.duration)
    chosen, left_out = wanted(recording, montage)
    read = {}
    for label in chosen:
        try:
            read[label] = recording.read(label).astype(np.float16)
        except NotFinite:
            left_out.append((label, NOT_FINITE))
    if not read:
        raise nothing_usable(recording.path, recording.labels)
    return Night(
        name=recording.path.stem,
        labels=tuple(read),
        modality=np.array([chosen[label] for label in read], np.int8),
        signals=np.stack(list(read.values())),  # (C, N)
        provenance=recording.provenance,
        left_out=tuple(left_out),
    )


def rules(recording: Recording, montage: Montage | None) -> Montage | None:
    """What decides of a recording's channels; None: the recording itself, and all are used.

    What a preprocessed recording says of its channels holds unless the montage says otherwise.

    Args:
        recording: an open recording.
        montage: that the user asks for, if any.
    """
    if not recording.tagged:
        return montage or Montage()
    if montage is None or montage.groups is not None:
        return montage
    known = {label: kind for label, kind in recording.modalities.items() if kind is not None}
    return dataclasses.replace(montage, named={**known, **montage.named})


def wanted(
    recording: Recording, montage: Montage | None
) -> tuple[dict[str, Modality], list[tuple[str, str]]]:
    """Labels to use and their modality; (label, reason) of the others.

    The order of a preprocessed recording is kept, so that its channels come as they would directly
    from the EDF.

    Args:
        recording: whose labels they are; its samples are not looked at.
        montage: which channels to use; None: the default rules.
    """
    montage = rules(recording, montage)
    if montage is None:
        known = {label: kind for label, kind in recording.modalities.items() if kind is not None}
        return known, []
    choice = montage.choose(recording.labels)
    chosen = sorted(choice.chosen, key=lambda c: c.index) if recording.tagged else choice.chosen
    left_out = [(label, reason) for _, label, reason in choice.left_out]
    return {recording.labels[c.index]: c.modality for c in chosen}, left_out
