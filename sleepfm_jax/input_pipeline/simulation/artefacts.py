"""What reaches a channel without belonging to it: the heart's field, the swaying breath, mains."""

from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class Pickup:
    """How strongly a kind of channel picks up the rest of the body, each drawn once a night.

    Attributes:
        heart: range of the gain, channel's unit per mV of ECG.
        breath: range of the amplitude of the sway with each breath, in the channel's unit.
        mains: range of the amplitude of the hum, in the channel's unit.
    """

    heart: Range
    breath: Range
    mains: Range


# Electrodes on the mastoid, chin and legs see the ECG; sweat and movement make the EEG sway.
PICKUP = {
    "eeg": Pickup((2, 12), (2, 10), (0.1, 1)),
    "eog": Pickup((2, 12), (2, 10), (0.1, 1)),
    "chin": Pickup((3, 12), (0, 3), (0.1, 1)),
    "left leg": Pickup((3, 12), (0, 2), (0.1, 1)),
    "right leg": Pickup((3, 12), (0, 2), (0.1, 1)),
    "ecg": Pickup((0, 0), (0.04, 0.15), (0.0002, 0.002)),
}


def artefacts(
    generator: np.random.Generator,
    pickup: Pickup,
    beats: np.ndarray,
    breath: np.ndarray,
    mains: int,
    rate: int,
) -> np.ndarray:
    """(samples,) float32 in the channel's unit.

    Args:
        generator: source of the random numbers.
        pickup: of this kind of channel.
        beats: (samples,) mV, `heart.beat_wave`.
        breath: (samples,) unit breath, `Breathing.wave`.
        mains: 50 or 60 Hz, by country.
        rate: Hz.
    """
    heart, sway, hum = (
        np.float32(generator.uniform(*bounds))
        for bounds in (pickup.heart, pickup.breath, pickup.mains)
    )
    turn = 2 * np.pi * mains / rate * np.arange(rate)  # whole turns in a second
    second = np.sin(turn + generator.uniform(0, 2 * np.pi)).astype(np.float32)
    return heart * beats + sway * breath + hum * np.tile(second, len(beats) // rate)
