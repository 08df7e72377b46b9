"""SleepFM, the multimodal foundation model for polysomnography, in JAX and Flax.

>>> import sleepfm_jax
>>> model = sleepfm_jax.load("MODEL")  # doctest: +SKIP
>>> night = model.embed("night.edf")  # doctest: +SKIP
>>> night.pooled["BAS"].shape  # doctest: +SKIP
(96, 128)
"""

from typing import Any

from sleepfm_jax.version import __version__

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """`load`, imported when asked for: workers that only read files start without JAX."""
    if name == "load":
        from sleepfm_jax.inference import load

        return load
    raise AttributeError(f"module 'sleepfm_jax' has no attribute {name!r}")
