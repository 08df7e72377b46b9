"""Recordings at the model's rate: one HDF5 a night, one float16 dataset a channel (spec §4).

Ours and the published ones have the same layout, so either side reads the other's with plain h5py;
our attributes say what a dataset's name cannot. `write` makes a recording, `open_recording` reads.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import channels
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.quality import Quality
from sleepfm_jax.input_pipeline.recording_writer import Signal, write
from sleepfm_jax.input_pipeline.resample import RATE

__all__ = ["NotFinite", "Quality", "Recording", "Signal", "open_recording", "write"]

DAMAGE = (OSError, RuntimeError, KeyError, ValueError)  # what h5py raises where bytes are wrong


class NotFinite(InputError):  # noqa: N818 (named for what was found)
    """A channel holds samples that are no finite numbers."""


class Recording:
    """An open recording, ours or in the published layout; a context manager.

    The published layout is bare: float16 or float32 datasets, no attributes, any channels; a "/"
    in a label became a group there, and is put back.

    Attributes:
        path: the file.
        labels: of the channels, in the file's order.
        modalities: what each label stands for: what the file says, else what the label says;
            None where it is none of the four or not known.
        tagged: whether the file itself says every channel's modality.
        samples: of the shortest channel.
        duration: seconds, of the shortest channel.
        provenance: the file's attributes; empty in the published layout.
        notes: sentences about what is odd and was put up with.
    """

    path: Path
    labels: tuple[str, ...]
    modalities: dict[str, Modality | None]
    tagged: bool
    samples: int
    duration: float
    provenance: dict[str, str | float]
    notes: tuple[str, ...]

    def __init__(self, path: Path, file: h5py.File) -> None:
        """Takes over `file`; use `open_recording`."""
        self.path = path
        self._file = file
        self.provenance = {name: _plain(value) for name, value in file.attrs.items()}
        self._datasets = {_label(name, dataset): dataset for name, dataset in _datasets(file)}
        self._check()
        self.labels = tuple(self._datasets)
        tags = {label: self._tag(label) for label in self.labels}
        self.tagged = None not in tags.values()
        self.modalities = {
            label: channels.identify(label).modality if tag is None else tag
            for label, tag in tags.items()
        }
        lengths = {len(dataset) for dataset in self._datasets.values()}
        self.samples = min(lengths)
        self.duration = self.samples / RATE
        self.notes = (
            (f"{path}: channels end at different times; all are cut to the shortest",)
            if len(lengths) > 1
            else ()
        )

    def read(self, label: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Reads a channel or a part of it.

        Args:
            label: one of `labels`.
            start: first sample.
            stop: one past the last sample; None: to the end.

        Returns:
            (stop - start,) float32.

        Raises:
            NotFinite: a sample is NaN or infinite.
            InputError: the file is damaged there.
        """
        stop = self.samples if stop is None else min(stop, self.samples)
        try:
            samples = self._datasets[label][start:stop]
        except DAMAGE as error:
            raise InputError(
                f"{self.path}: channel {label!r} is damaged: copy the file or make it again"
            ) from error
        if not np.isfinite(samples).all():
            raise NotFinite(
                f"{self.path}: channel {label!r} holds samples that are no numbers: leave it out"
            )
        return samples.astype(np.float32)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        if not self._datasets:
            raise InputError(f"{self.path} holds no channel: give a recording made by preprocess")
        if self.provenance.get("rate", RATE) != RATE:
            raise InputError(
                f"{self.path} is at {self.provenance['rate']} Hz, not {RATE}: preprocess it again"
            )
        for label, dataset in self._datasets.items():
            if dataset.ndim != 1 or dataset.dtype.kind != "f" or not len(dataset):
                raise InputError(
                    f"{self.path}: {label!r} is {dataset.dtype} of shape {dataset.shape}, not one "
                    "row of floating-point samples: give a recording made by preprocess"
                )

    def _tag(self, label: str) -> Modality | None:
        name = _plain(self._datasets[label].attrs.get("modality", ""))
        if name and name not in Modality.__members__:
            raise InputError(
                f"{self.path}: channel {label!r} has no known modality but {name!r}: preprocess "
                "the night again"
            )
        return Modality[str(name)] if name else None


def open_recording(path: str | os.PathLike[str]) -> Recording:
    """Opens a recording; samples are read when asked for.

    Args:
        path: an HDF5 file, ours or in the published layout.

    Raises:
        InputError: there is no such file, or it is not HDF5, damaged, without channels, or
            holds something else than one row of floating-point samples a channel.
    """
    path = Path(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} {_opening_fault(error)}") from error
    try:
        return Recording(path, file)
    except DAMAGE as error:
        file.close()
        raise InputError(f"{path} is damaged: copy it or make it again") from error
    except BaseException:
        file.close()
        raise


def _opening_fault(error: OSError) -> str:
    if error.errno:
        return f"cannot be opened ({os.strerror(error.errno)}): check its name and your permission"
    if "truncated" in str(error):
        return "is cut short: copy it or make it again"
    return "is not a readable HDF5 file: give a recording made by preprocess, or an EDF"


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Names and datasets in the file's order; links, which may lead elsewhere, are passed over."""
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            continue
        if isinstance(file[name], h5py.Dataset):
            yield name, file[name]
        elif isinstance(file[name], h5py.Group):  # a "/" in a label made it
            for dataset in _nested(file[name]):
                yield dataset.name.lstrip("/"), dataset


def _nested(group: h5py.Group) -> list[h5py.Dataset]:
    found = []

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(item)

    group.visititems(visit)
    return found


def _label(name: str, dataset: h5py.Dataset) -> str:
    return str(_plain(dataset.attrs.get("label", name)))


def _plain(value: object) -> str | float:
    """An attribute as text or number."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, str | int | float) else str(value)
