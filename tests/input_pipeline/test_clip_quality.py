"""What is absent or flat is found in the clips where it is, and in no others."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.input_pipeline.clip_quality import check, filled


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1.0, 2.0, 10.0, 64.0]),
    st.integers(0, 8),
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 40), st.booleans()), max_size=4),
)
def test_it_equals_the_definition(
    rate: float, first: int, spoilt: list[tuple[int, int, bool]]
) -> None:
    random = np.random.default_rng(first)
    samples = random.standard_normal(int(100 * rate))
    for begin, seconds, missing in spoilt:
        samples[int(begin * rate) : int((begin + seconds) * rate)] = np.nan if missing else 1.0
    found = check(samples, rate, float(first), 3)
    length = int(max(rate, 2))  # samples of a piece
    for number in range(3):
        clip = samples[int((first + 30 * number) * rate) : int((first + 30 * number + 30) * rate)]
        assert found.whole[number] == np.isfinite(clip).all()
        pieces = clip.reshape(-1, length)
        assert found.flat[number] == np.float32(np.mean((pieces == pieces[:, :1]).all(1)))
    used = samples[int(first * rate) : int((first + 90) * rate)]
    if np.isfinite(used).any():
        assert (found.low, found.high) == (np.nanmin(used), np.nanmax(used))
    else:
        assert found.low > found.high


def test_rates_that_fit_no_second_are_cut_where_their_samples_lie() -> None:
    rate = 199.9
    samples = np.ones(int(200 * rate))
    samples[int(np.ceil(61.0 * rate)) - 1] = 0  # within the second before 61 s of the recording
    found = check(samples, rate, 31.0, 2)  # from 31 to 61 s, and on to 91 s
    assert found.flat[0] == np.float32(29 / 30)
    assert found.flat[1] == 1


def test_what_is_missing_is_drawn_as_a_line() -> None:
    nan = np.nan
    assert filled(np.array([nan, 1, nan, nan, 4, nan])).tolist() == [1, 1, 2, 3, 4, 4]
    assert filled(np.array([nan, nan])).tolist() == [0, 0]
    whole = np.arange(3.0)
    assert filled(whole) is whole
