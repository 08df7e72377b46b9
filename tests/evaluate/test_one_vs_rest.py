"""Areas in every resample are scikit-learn's with the resample's weights, ties and all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from sleepfm_jax.evaluate import bootstrap, one_vs_rest


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    N=st.integers(2, 60),
    levels=st.sampled_from([2, 5, 1000]),
    share=st.sampled_from([0.05, 0.5]),
)
def test_areas_are_scikit_learns(seed: int, N: int, levels: int, share: float) -> None:
    draw = np.random.default_rng(seed)
    positive = draw.random(N) < share
    positive[:2] = True, False
    score = draw.integers(0, levels, N) / levels + 0.2 * positive
    subject = draw.integers(0, 5, N)
    counts = bootstrap.multiplicities(5, 4, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_vs_rest, "RESAMPLES", 3)
        roc, precision = one_vs_rest.areas(positive, score, subject, counts)
    for r, weight in enumerate(counts.T[:, subject]):
        drawn = weight > 0
        if positive[drawn].any():
            expected = average_precision_score(positive, score, sample_weight=weight)
            assert precision[r] == pytest.approx(expected, rel=1e-12)
        else:
            assert np.isnan(precision[r])
        if 0 < positive[drawn].sum() < drawn.sum():
            expected = roc_auc_score(positive, score, sample_weight=weight)
            assert roc[r] == pytest.approx(expected, rel=1e-12)
        else:
            assert np.isnan(roc[r])


def test_one_side_alone_has_no_area() -> None:
    counts, subject = np.ones((1, 1), np.float32), np.zeros(4, int)
    roc, precision = one_vs_rest.areas(np.zeros(4, bool), np.arange(4.0), subject, counts)
    assert np.isnan([*roc, *precision]).all()
    roc, precision = one_vs_rest.areas(np.ones(4, bool), np.arange(4.0), subject, counts)
    assert np.isnan(roc).all()
    assert precision.tolist() == [1]
