"""Five-minute windows of nights, which the model is trained on, and the rule that refuses some.

A *source of windows* is random access: `len(source)`, `source[i] -> Window`, `source.nights` and
`source.night_of`; `open_store` opens a packed one, `open_recordings` one of plain recordings.
"""

import dataclasses
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, SupportsIndex

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.resample import RATE

if TYPE_CHECKING:
    from sleepfm_jax.input_pipeline.montage import Montage
    from sleepfm_jax.input_pipeline.recording_windows import RecordingWindows
    from sleepfm_jax.input_pipeline.splits import Splits
    from sleepfm_jax.input_pipeline.window_store import WindowStore

PATCH = 5 * RATE  # samples: 5 s at 128 Hz
PATCHES = 60
SAMPLES = PATCHES * PATCH  # 38400: 5 min
EMPTY = -1  # modality of a channel that the rule emptied


class Window(NamedTuple):
    """Five minutes of a night.

    Attributes:
        signals: (C, 38400) float16, 128 Hz, z-scored; zeros beyond `patches`.
        modality: (C,) int8, `Modality` of each channel; -1 where the rule emptied it.
        patches: how many of the 60 patches are real; the last window of a night may have fewer.
        night: its name.
        start: seconds from the start of the recording.
        labels: (C,) of the channels.
    """

    signals: np.ndarray
    modality: np.ndarray
    patches: int
    night: str
    start: float
    labels: tuple[str, ...]


class Source(Protocol):
    """Windows by number, those of a night next to each other and in the order of time.

    Sources can be pickled and read from several threads.

    Attributes:
        nights: names.
        night_of: (N,) int32, index into `nights` of each window.
    """

    nights: tuple[str, ...]
    night_of: np.ndarray

    def __len__(self) -> int: ...

    def __getitem__(self, index: SupportsIndex) -> Window: ...


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a window must be like.

    A channel that is flat, or holds samples that are no numbers, is emptied in that window alone.

    Attributes:
        flat_limit: the largest share of flat patches (all samples equal) of a channel that stays.
        least_modalities: with fewer left the window is dropped; the contrastive loss needs two.
        least_patches: with fewer real patches (5 s) the window is dropped.
    """

    flat_limit: float = 0.5
    least_modalities: int = 2
    least_patches: int = 12

    def __post_init__(self) -> None:
        if not 0 <= self.flat_limit <= 1:
            raise InputError(f"a flat limit of {self.flat_limit:g} is no share: give 0 to 1")
        if not 1 <= self.least_modalities <= len(Modality):
            raise InputError(f"{self.least_modalities} modalities cannot be the least: give 1 to 4")
        if not 1 <= self.least_patches <= PATCHES:
            raise InputError(f"{self.least_patches} patches cannot be the least: give 1 to 60")


class Screened(NamedTuple):
    """A window's channels after the rule.

    Attributes:
        signals: (C, 38400) float16, zeros in emptied channels and beyond `patches`.
        modality: (C,) int8, -1 where emptied.
        patches: that are real.
        flat: (C,) float32, share of flat patches.
        missing: (C,) float32, share of patches with samples that are no numbers.
        fault: why the window is to be dropped; None: it stays.
    """

    signals: np.ndarray
    modality: np.ndarray
    patches: int
    flat: np.ndarray
    missing: np.ndarray
    fault: str | None


def screen(signals: np.ndarray, modality: np.ndarray, rule: Rule) -> Screened:
    """Applies the rule to one window.

    Args:
        signals: (C, n) float16, n ≤ 38400; samples beyond the last whole patch are not used.
        modality: (C,) int8, `Modality` of each channel, or -1.
        rule: that decides.
    """
    C, n = signals.shape
    S = n // PATCH
    patches = signals[:, : S * PATCH].reshape(C, S, PATCH)
    low, high = patches.min(axis=2), patches.max(axis=2)  # (C, S); NaN where a sample is NaN
    finite = np.isfinite(low) & np.isfinite(high)
    flat = (low == high).sum(axis=1, dtype=np.float32) / max(S, 1)
    missing = (~finite).sum(axis=1, dtype=np.float32) / max(S, 1)
    keep = (modality != EMPTY) & (flat <= rule.flat_limit) & (missing == 0)
    kept = np.where(keep, modality, EMPTY).astype(np.int8)
    whole = np.zeros((C, SAMPLES), np.float16)
    whole[keep, : S * PATCH] = signals[keep, : S * PATCH]
    return Screened(whole, kept, S, flat, missing, fault(kept, S, rule))


def fault(modality: np.ndarray, patches: int, rule: Rule) -> str | None:
    """Why a window is to be dropped, if it is.

    Args:
        modality: (C,) after channels were emptied.
        patches: that are real.
        rule: that decides.
    """
    if patches < rule.least_patches:
        return f"fewer than {rule.least_patches} patches"
    if len(np.unique(modality[modality != EMPTY])) < rule.least_modalities:
        return f"fewer than {rule.least_modalities} modalities"
    return None


def count(samples: int) -> int:
    """Windows that a night has, before any is dropped.

    Args:
        samples: of the night, 128 Hz; those beyond the last whole patch make no window.
    """
    return -(-(samples // PATCH) // PATCHES)


def open_store(path: str | os.PathLike[str], split: str = "train") -> "WindowStore":
    """Opens the packed windows of one split.

    Args:
        path: folder that `sleepfm-jax pack` made.
        split: such as train, validation or test.

    Raises:
        InputError: there is no store, it has no such split, or it is damaged.
    """
    from sleepfm_jax.input_pipeline.window_store import WindowStore

    return WindowStore(path, split)


def open_recordings(
    paths: Iterable[str | os.PathLike[str]],
    split: str | None = None,
    splits: "Splits | None" = None,
    rule: Rule | None = None,
    montage: "Montage | None" = None,
) -> "RecordingWindows":
    """Opens plain recordings as windows, without packing.

    Args:
        paths: HDF5 recordings, ours or in the published layout, and folders of them.
        split: take only the nights of this split; None: all.
        splits: how nights are split; None: by the default fractions from seed 0.
        rule: that empties channels. What it would drop is known only when samples are read, so
            only windows with too few patches are dropped here; others come with their channels
            emptied.
        montage: which channels to use; None: the default rules, and of a preprocessed recording
            every channel.

    Raises:
        InputError: a path does not exist, two nights have one name, or no night is left; a
            recording that cannot be used is left out and logged.
    """
    from sleepfm_jax.input_pipeline.recording_windows import RecordingWindows

    return RecordingWindows(paths, split, splits, rule or Rule(), montage)
