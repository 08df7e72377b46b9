"""Runs of windows through the foundation model: each as if it were alone."""

import jax
import numpy as np
import pytest
from flax import nnx

from sleepfm_jax.models.end_to_end import WINDOW, embed_nights
from sleepfm_jax.models.tokenizer import PATCH
from tests.models import small_network


def test_windows_are_embedded_one_by_one() -> None:
    B, C, W = 2, 3, 2
    signals = small_network.signals(0, B, C, W * WINDOW).astype(np.float32)
    modality = np.array([[0, 1, 3], [2, 2, -1]], np.int8)
    patches = np.array([2 * WINDOW, WINDOW + 7], np.int32)
    network = nnx.view(small_network.model("float32"), deterministic=True, use_running_average=True)
    graph, state = nnx.split(network)
    run = jax.jit(lambda state, *inputs: embed_nights(nnx.merge(graph, state), *inputs))
    embeddings, present = map(np.asarray, run(state, signals, modality, patches))
    assert present.tolist() == [[True, True, False, True], [False, False, True, False]]
    windows = signals.reshape(B, C, W, -1).swapaxes(1, 2).reshape(B * W, C, -1)
    real = np.array([WINDOW, WINDOW, WINDOW, 7], np.int32)
    alone = small_network.embed("float32")(windows, np.repeat(modality, W, axis=0), real)
    expected = alone.sequence.reshape(B, W, 4, WINDOW, -1).swapaxes(1, 2)
    np.testing.assert_allclose(
        embeddings, expected.reshape(B, 4, W * WINDOW, -1), rtol=0, atol=2e-6
    )
    assert not embeddings[1, :, WINDOW + 7 :].any()


def test_a_part_of_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="not a whole number of 5-minute windows"):
        embed_nights(
            None,  # type: ignore[arg-type]  (never called)
            np.zeros((1, 1, 59 * PATCH), np.float32),
            np.zeros((1, 1), np.int8),
            np.array([59]),
        )
