"""A night's channels from EDF, BDF, WFDB or an MNE Raw to the model's rate, one after the other.

A few channels are converted ahead, each in its own thread, so that a night uses all cores and needs
the memory of a few channels.
"""

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import source_files, stretches
from sleepfm_jax.input_pipeline.montage import Chosen, Montage
from sleepfm_jax.input_pipeline.quality import Gauge
from sleepfm_jax.input_pipeline.raw import RawRecording
from sleepfm_jax.input_pipeline.recordings import Signal
from sleepfm_jax.input_pipeline.resample import Stretch, to_model_rate
from sleepfm_jax.input_pipeline.source_files import Recorded
from sleepfm_jax.version import __version__

if TYPE_CHECKING:  # importing MNE takes a while, and whoever has a Raw has imported it
    import mne

Source: TypeAlias = "str | os.PathLike[str] | mne.io.BaseRaw | Recorded | RawRecording"

PATCH = 5.0  # seconds; the model's smallest step
NOT_FINITE = "it holds samples that are no numbers"
NOTHING_MEASURED = "nothing was measured all night"


def refuse_short(title: object, duration: float) -> None:
    """Raises an InputError if a night is shorter than one patch (5 s).

    Args:
        title: what the night is called.
        duration: seconds.
    """
    if duration < PATCH:
        raise InputError(
            f"{title} is {duration:g} s long, less than the model's smallest step of {PATCH:g} s: "
            "leave it out"
        )


def nothing_usable(title: object, labels: Sequence[str]) -> InputError:
    """The error for a night without a channel that can be used.

    Args:
        title: what the night is called.
        labels: of all its channels.
    """
    named = ", ".join(repr(label) for label in labels[:5])
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return InputError(
        f"{title} has no channel of any of the four modalities to use, only {named}{more}: say "
        "what its channels are with --channel LABEL=MODALITY or --channel-groups"
    )


@contextlib.contextmanager
def convert(
    source: Source, montage: Montage | None = None, threads: int = 1
) -> Iterator["Conversion"]:
    """Opens a night to convert it channel by channel, without ever holding it whole.

    >>> with convert("night.edf") as night:  # doctest: +SKIP
    ...     recordings.write("night.hdf5", night, night.provenance)

    Args:
        source: path to EDF, BDF or a WFDB header, an `mne.io.Raw`, or either opened.
        montage: which channels to use; None: the default rules.
        threads: that convert channels.

    Raises:
        InputError: as `load`.
    """
    with _opened(source) as recording:
        yield Conversion(recording, montage or Montage(), threads)


class Conversion:
    """A night on its way to the model's rate; iterating yields its signals in the montage's order.

    Attributes:
        name: of the source, without folder and suffix.
        provenance: source's name and hash, duration and software; no date, person or folder.
        left_out: (label, reason) of each channel that is not used; iterating adds those whose
            samples are not all numbers, or that hold none.
    """

    def __init__(self, recording: Recorded | RawRecording, montage: Montage, threads: int) -> None:
        """Chooses the channels.

        Args:
            recording: the open source.
            montage: which channels to use.
            threads: that convert channels.

        Raises:
            InputError: none of the four modalities, or shorter than one patch (5 s).
        """
        self._recording = recording
        self._threads = threads
        self._title = str(recording.path or "the Raw")
        self.name = recording.path.stem if recording.path else "raw"
        if not recording.signals:
            raise InputError(
                f"{self._title} holds annotations only: give the recording that they belong to"
            )
        refuse_short(self._title, recording.duration)
        choice = montage.choose([signal.label for signal in recording.signals])
        self._chosen = choice.chosen
        self.left_out = [(label, reason) for _, label, reason in choice.left_out]
        if not choice.chosen:
            raise nothing_usable(self._title, [label for label, _ in self.left_out])
        self.provenance = _provenance(recording)

    def __iter__(self) -> Iterator[Signal]:
        count = self._threads + 1  # one more than can run, so that none waits for the reader
        converted = False
        with ThreadPoolExecutor(self._threads) as pool:
            waiting = deque(pool.submit(self._convert, chosen) for chosen in self._chosen[:count])
            coming = iter(self._chosen[count:])
            while waiting:
                signal = waiting.popleft().result()
                waiting.extend(pool.submit(self._convert, chosen) for chosen in islice(coming, 1))
                if isinstance(signal, Signal):
                    converted = True
                    yield signal
                else:
                    self.left_out.append(signal)
        if not converted:
            raise nothing_usable(self._title, [label for label, _ in self.left_out])

    def _convert(self, chosen: Chosen) -> Signal | tuple[str, str]:
        """One channel, or its label and why it is left out."""
        recording = self._recording
        source = recording.signals[chosen.index]
        gauge = Gauge(source.rate, source.physical_min, source.physical_max)

        def measured() -> Iterator[Stretch]:
            for stretch in stretches.of_signal(recording, source):
                gauge.add(stretch.samples)
                if not gauge.whole:
                    return
                yield stretch

        samples = to_model_rate(measured(), recording.highest_rate, recording.duration)
        if not gauge.whole:
            return chosen.label, NOT_FINITE
        if gauge.empty:
            return chosen.label, NOTHING_MEASURED
        return Signal(
            label=chosen.label,
            modality=chosen.modality,
            samples=samples,
            source_rate=source.rate,
            unit=source.unit,
            quality=gauge.quality(recording.duration),
        )


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Recorded | RawRecording]:
    if isinstance(source, Recorded | RawRecording):
        yield source
    elif isinstance(source, str | os.PathLike):
        with source_files.open_recording(source) as recording:
            yield recording
    elif hasattr(source, "load_data"):  # MNE reads all channels as fast as one: it reads once
        yield RawRecording(source if source.preload else source.copy().load_data())
    else:
        raise TypeError(f"{source!r} is no path, mne.io.Raw or open recording")


def _provenance(recording: Recorded | RawRecording) -> dict[str, str | float]:
    entries: dict[str, str | float] = {
        "software": f"sleepfm-jax {__version__}",
        "source_format": recording.format,
        "duration": recording.duration,
    }
    if recording.path:
        entries["source"] = recording.path.name
    if recording.path and isinstance(recording, Recorded):  # a Raw may have been changed
        entries["sha256"] = source_files.content_hash(recording.path)
    return entries
