"""Which channels of a window enter its slots, and what training changes about them.

All of it from the record's own random numbers: a function of seed and place in the sequence alone.
"""

from dataclasses import dataclass

import numpy as np

FARTHEST = 3.0  # standard deviations a gain goes: no float16 of a z-scored night overflows
PIECE = 19200  # samples; glibc asks the kernel for each temporary of more than 128 kB


@dataclass(frozen=True)
class Augmentation:
    """What training changes about a window.

    Attributes:
        channel_dropout: probability that a channel is left out; one of each modality stays.
        modality_dropout: probability that a modality is left out; two always stay.
        amplitude_jitter: standard deviation of the logarithm of each channel's gain.
    """

    channel_dropout: float = 0.0
    modality_dropout: float = 0.0
    amplitude_jitter: float = 0.0

    def kept(self, modality: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(C,) bool, the channels that stay, of their modalities (C,) int8, none of them empty."""
        kept = np.ones(len(modality), bool)
        if not self.modality_dropout and not self.channel_dropout:
            return kept
        present = np.unique(modality)
        if self.modality_dropout:
            stays = survivors(len(present), self.modality_dropout, 2, rng)
            kept &= np.isin(modality, present[stays])
        if self.channel_dropout:
            for one in present:
                own = np.flatnonzero(modality == one)
                kept[own] &= survivors(len(own), self.channel_dropout, 1, rng)
        return kept

    def gains(self, channels: int, rng: np.random.Generator) -> np.ndarray | None:
        """(channels,) float32 to multiply the channels by; None: all stay as they are."""
        if not self.amplitude_jitter:
            return None
        steps = rng.standard_normal(channels).clip(-FARTHEST, FARTHEST)
        return np.exp(self.amplitude_jitter * steps).astype(np.float32)


NOTHING = Augmentation()


def survivors(count: int, dropout: float, at_least: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) bool, each False with probability `dropout`, but `at_least` of them True."""
    luck = rng.random(count)
    if count <= at_least:
        return np.ones(count, bool)
    return luck >= min(dropout, np.partition(luck, -at_least)[-at_least])


def choose(modality: np.ndarray, slots: int, rng: np.random.Generator) -> np.ndarray:
    """Chooses the channels that enter the slots; every modality keeps one at least.

    Args:
        modality: (C,) int8, `Modality` of each channel; -1: an empty one, which never enters.
        slots: at least as many as there are modalities.
        rng: of the record.

    Returns:
        (≤ slots,) indices of channels, ascending.
    """
    channels = np.flatnonzero(modality >= 0)
    if len(channels) <= slots:
        return channels
    channels = rng.permutation(channels)
    _, first = np.unique(modality[channels], return_index=True)  # one of each modality
    rest = np.delete(channels, first)[: slots - len(first)]
    return np.sort(np.concatenate([channels[first], rest]))


def amplify(samples: np.ndarray, gain: float) -> None:
    """Multiplies samples in place, as in float32, three times as fast as NumPy converts float16.

    Below 6e-5 (subnormal numbers) the last bit may differ from NumPy's.

    Args:
        samples: (T,) float16, finite and so after it.
        gain: positive.
    """
    for start in range(0, len(samples), PIECE):
        halves = samples[start : start + PIECE].view(np.uint16)
        # A float16 without its sign, moved to where a float32 has exponent and mantissa, is that
        # float32 times 2**-112, and so is the product until it is moved back.
        words = np.left_shift(halves & 0x7FFF, 13, dtype=np.uint32)
        scaled = words.view(np.float32)
        scaled *= np.float32(gain)
        words += ((words >> 13) & 1) + np.uint32(0xFFF)  # to the nearest, ties to even
        words >>= 13
        halves &= 0x8000
        halves |= words.astype(np.uint16)
