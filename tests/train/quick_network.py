"""The foundation model with a tokenizer of one layer: runs of real data that compile in seconds.

For tests of what happens around the network; the network itself is tested elsewhere.
"""

import jax
import pytest
from flax import nnx

from sleepfm_jax.models import foundation
from sleepfm_jax.models.batch_norm import ModalityBatchNorm, Slots
from sleepfm_jax.models.layers import Numerics, dense
from sleepfm_jax.models.tokenizer import PATCH

FEATURES = 16  # neighbouring samples of a patch


class LinearTokenizer(nnx.Module):
    """Batch statistics, a bend and one linear layer, called as `Tokenizer` is."""

    def __init__(
        self, width: int, numerics: Numerics, remat: bool = False, *, rngs: nnx.Rngs
    ) -> None:
        del remat
        self.batch_norm = ModalityBatchNorm(FEATURES, numerics)
        self.out = dense(PATCH, width, (None, "embed"), numerics, rngs)

    def __call__(self, signals: jax.Array, slots: Slots) -> jax.Array:
        """(B, C, S·640) to tokens (B, C, S, E)."""
        B, C, T = signals.shape
        x = signals.reshape(1, B, C, T // PATCH, PATCH // FEATURES, FEATURES)
        x = nnx.relu(self.batch_norm(x, self.batch_norm.statistics(x, slots)))
        return self.out(x.reshape(B, C, T // PATCH, PATCH))


def use(patch: pytest.MonkeyPatch | None = None) -> None:
    """Every foundation model that is built from now on has it.

    Args:
        patch: whose end is its end; None: this process's.
    """
    (patch or pytest.MonkeyPatch()).setattr(foundation, "Tokenizer", LinearTokenizer)
