"""Stacked bidirectional LSTM over nights of any length, equal to PyTorch's packed sequences.

Gates and the two biases are PyTorch's, so that weights convert bit for bit (spec §3).
"""

import jax
import jax.numpy as jnp
from flax import nnx

from sleepfm_jax.models.dropout import Dropout
from sleepfm_jax.models.layers import Numerics, uniform_fan_in

GATES = 4  # input, forget, cell, output


class Direction(nnx.Module):
    """The weights of one LSTM layer in one direction of time.

    Args:
        width: of what comes in.
        hidden: width of the state.
        numerics: types.
        rngs: for initial weights.
    """

    def __init__(self, width: int, hidden: int, numerics: Numerics, *, rngs: nnx.Rngs) -> None:
        init = uniform_fan_in(hidden)
        dtype = jnp.dtype(numerics.param_dtype)
        gates = GATES * hidden
        self.input_kernel = nnx.Param(init(rngs.params(), (width, gates), dtype))
        self.recurrent_kernel = nnx.Param(init(rngs.params(), (hidden, gates), dtype))
        self.input_bias = nnx.Param(init(rngs.params(), (gates,), dtype))
        self.recurrent_bias = nnx.Param(init(rngs.params(), (gates,), dtype))


class BidirectionalLayer(nnx.Module):
    """One LSTM layer in both directions.

    Args:
        width: W, of what comes in.
        hidden: H, width of each direction's state.
        numerics: types and precision.
        rngs: for initial weights.
    """

    def __init__(self, width: int, hidden: int, numerics: Numerics, *, rngs: nnx.Rngs) -> None:
        self.forward = Direction(width, hidden, numerics, rngs=rngs)
        self.backward = Direction(width, hidden, numerics, rngs=rngs)
        self.hidden = hidden
        self.numerics = numerics

    def __call__(self, x: jax.Array, real: jax.Array) -> jax.Array:
        """Runs both directions in one loop.

        Args:
            x: (B, T, W).
            real: (B, T), True for the first steps of each night, as many as it has.

        Returns:
            (B, T, 2H), forward then backward; zeros where a step is not real.
        """
        gates = self._input_products(x)  # (T, 2, B, 4H)
        kernel = jnp.stack(
            [d.recurrent_kernel[...].astype(x.dtype) for d in (self.forward, self.backward)]
        )  # (2, H, 4H)
        # Reversed, padding comes first: the state stays zero until the night's last step.
        alive = jnp.moveaxis(jnp.stack([real, real[:, ::-1]]), 2, 0)[..., None]  # (T, 2, B, 1)
        exact = jnp.promote_types(x.dtype, jnp.float32)

        def step(
            state: tuple[jax.Array, jax.Array], now: tuple[jax.Array, jax.Array]
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            output, cell = state  # (2, B, H)
            products, alive = now
            products = products + jnp.matmul(
                output,
                kernel,
                precision=self.numerics.precision,
                preferred_element_type=exact,
            )
            entering, kept, new, shown = jnp.split(products, GATES, axis=-1)
            cell = jax.nn.sigmoid(kept) * cell + jax.nn.sigmoid(entering) * jnp.tanh(new)
            cell = jnp.where(alive, cell, 0)
            output = (jax.nn.sigmoid(shown) * jnp.tanh(cell)).astype(x.dtype)
            return (output, cell), output

        zeros = jnp.zeros((2, x.shape[0], self.hidden), x.dtype)
        _, outputs = jax.lax.scan(step, (zeros, zeros.astype(exact)), (gates, alive))
        # outputs are (T, 2, B, H)
        both = jnp.concatenate([outputs[:, 0], outputs[::-1, 1]], axis=-1)  # (T, B, 2H)
        return both.swapaxes(0, 1)

    def _input_products(self, x: jax.Array) -> jax.Array:
        """What the input adds to the gates at all steps, (T, 2, B, 4H) as time runs in each."""
        kernel = jnp.concatenate(
            [d.input_kernel[...].astype(x.dtype) for d in (self.forward, self.backward)], axis=-1
        )  # (W, 8H)
        products = jnp.matmul(x, kernel, precision=self.numerics.precision)  # (B, T, 8H)
        ahead, back = jnp.split(products.swapaxes(0, 1), 2, axis=-1)  # 2 × (T, B, 4H)
        bias = jnp.stack(
            [d.input_bias[...] + d.recurrent_bias[...] for d in (self.forward, self.backward)]
        )  # (2, 4H)
        return jnp.stack([ahead, back[::-1]], axis=1) + bias[:, None]


class BidirectionalLSTM(nnx.Module):
    """Layers of bidirectional LSTM with dropout between them.

    Args:
        width: W, of what comes in.
        hidden: H, width of each direction's state.
        layers: how many.
        dropout: rate between layers; none follows the last.
        numerics: types and precision.
        rngs: for initial weights and dropout.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        layers: int,
        dropout: float,
        numerics: Numerics,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.layers = nnx.List(
            [
                BidirectionalLayer(2 * hidden if n else width, hidden, numerics, rngs=rngs)
                for n in range(layers)
            ]
        )
        self.dropout = Dropout(dropout, rngs=rngs)

    def __call__(self, x: jax.Array, steps: jax.Array) -> jax.Array:
        """Each night by itself, the backward direction from its own last step.

        Args:
            x: (B, T, W); what stands beyond a night's steps does not matter unless it is NaN.
            steps: (B,) int, how many steps each night has.

        Returns:
            (B, T, 2H), forward then backward; zeros beyond a night's steps.
        """
        real = jnp.arange(x.shape[1]) < steps[:, None]  # (B, T)
        for n, layer in enumerate(self.layers):
            x = layer(self.dropout(x) if n else x, real)  # (B, T, 2H)
        return x
