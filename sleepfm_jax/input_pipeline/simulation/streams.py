"""One stream of random numbers for each (seed, night, part), independent of all others.

So night 3 is the same whether 4 or 40 are made, and a new channel changes no other channel.
"""

import zlib

import numpy as np


def stream(seed: int, night: int, part: str) -> np.random.Generator:
    """The generator of one part ("subject", "breathing", "channel C3-M2", …) of one night.

    Args:
        seed: the cohort's seed, ≥ 0.
        night: index of the night in the cohort, ≥ 0.
        part: what the numbers are for; its CRC-32 is the last word of the seed.
    """
    return np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=(night, zlib.crc32(part.encode())))
    )
