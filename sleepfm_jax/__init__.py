"""SleepFM, the multimodal foundation model for polysomnography, in JAX and Flax."""

from sleepfm_jax.version import __version__

__all__ = ["__version__"]
