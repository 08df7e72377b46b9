"""A loaded model, one night at a time: what notebooks use, and the jobs beneath their loops."""

from sleepfm_jax.inference.foundation import DTYPES, PRECISIONS, Model, load
from sleepfm_jax.inference.heads import Risk, Stager, load_risk, load_stager
from sleepfm_jax.inference.towers import Towers, load_towers

__all__ = [
    "DTYPES",
    "PRECISIONS",
    "Model",
    "Risk",
    "Stager",
    "Towers",
    "load",
    "load_risk",
    "load_stager",
    "load_towers",
]
