"""Samples come back bit by bit; what is no frame is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sleepfm_jax.input_pipeline import sample_codec
from tests.input_pipeline.small_nights import noise


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.uint16, st.tuples(st.integers(1, 5), st.integers(1, 40))))
def test_every_bit_pattern_comes_back(bits: np.ndarray) -> None:
    signals = bits.view(np.float16)
    found = sample_codec.decode(sample_codec.encode(signals), *signals.shape)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found.view(np.uint16), bits)


def test_the_order_in_memory_does_not_matter() -> None:
    signals = noise(0, 4, 640)
    assert sample_codec.encode(np.asfortranarray(signals)) == sample_codec.encode(signals)


def test_noise_shrinks() -> None:
    signals = noise(0, 4, 38400)
    assert len(sample_codec.encode(signals)) < 0.9 * signals.nbytes


def test_another_shape_is_refused() -> None:
    packed = sample_codec.encode(noise(0, 2, 640))
    with pytest.raises(ValueError, match="does not hold 3 channels of 640 samples"):
        sample_codec.decode(packed, 3, 640)
    with pytest.raises(ValueError):
        sample_codec.decode(packed[:-10], 2, 640)
    with pytest.raises(ValueError):
        sample_codec.decode(b"no frame", 2, 640)
