"""The probe reads what is linearly there and nothing else."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sleepfm_jax.evaluate import probe
from sleepfm_jax.evaluate.probe import features, fit


def blobs(seed: int, counts: list[int], apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples of classes around the same centres for every seed, on features of odd scales."""
    centres = apart * np.random.default_rng(0).standard_normal((len(counts), 8))
    draw = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    x = centres[y] + draw.standard_normal((len(y), 8))
    order = draw.permutation(len(y))
    return (x * 10.0 ** np.arange(-4, 4) + 5 * 10.0 ** np.arange(-4, 4))[order], y[order]


def accuracy(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    told = fit(*train).probabilities(test[0], range(5)).argmax(axis=1)
    return float(np.mean(told == test[1]))


def test_separate_classes_are_told_apart() -> None:
    assert accuracy(blobs(1, [60] * 5, 10), blobs(2, [40] * 5, 10)) == 1


def test_what_is_not_there_is_not_told() -> None:
    assert abs(accuracy(blobs(1, [200] * 4, 0), blobs(2, [200] * 4, 0)) - 0.25) < 0.06


def test_rare_classes_weigh_as_much_as_common_ones() -> None:
    """Without balance nearly everything would be told to be of the common class."""
    assert accuracy(blobs(1, [2000, 20], 0.35), blobs(2, [500, 500], 0.35)) > 0.65


@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_scikit_learns_on_standardised_features(classes: int) -> None:
    """Folding the standardisation into the weights changes no probability."""
    (x, y), (test_x, _) = blobs(1, [150] * classes, 0.5), blobs(2, [50] * classes, 0.5)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    expected = LogisticRegression(C=0.3, class_weight="balanced", tol=1e-8, max_iter=10_000)
    expected.fit((x - mean) / scale, y)
    found = fit(x, y, strength=0.3)
    assert (found.converged, found.samples) == (True, len(y))
    assert 3 < found.iterations < 100
    np.testing.assert_allclose(
        found.probabilities(test_x, range(classes)),
        expected.predict_proba((test_x - mean) / scale),
        atol=2e-3,
    )


def test_the_scale_of_features_and_names_of_classes_do_not_matter() -> None:
    (x, y), (test_x, _) = blobs(1, [50] * 3, 1), blobs(2, [50] * 3, 1)
    names = np.array(["Wake", "N2", "REM"])
    scale = 10.0 ** np.arange(8)
    expected = fit(x, y).probabilities(test_x, range(3))
    found = fit(x * scale - 3 * scale, names[y])
    assert found.classes.tolist() == ["N2", "REM", "Wake"]
    again = found.probabilities(test_x * scale - 3 * scale, names)
    np.testing.assert_allclose(again, expected, atol=2e-3)


def test_a_class_that_training_lacked_is_never_told() -> None:
    x, y = blobs(1, [50] * 3, 2)
    found = fit(x[y != 1], y[y != 1])
    told = found.probabilities(x, range(5))
    np.testing.assert_array_equal(told[:, [1, 3, 4]], 0)
    np.testing.assert_allclose(told.sum(axis=1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match=r"classes \[2\] were fitted"):
        found.probabilities(x, [0, 1])
    with pytest.raises(ValueError, match="8 features were fitted"):
        found.probabilities(x[:, :5], range(5))


def test_rows_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = blobs(1, [50] * 3, 1)
    embeddings = x.reshape(len(x), 2, 4)
    present = np.random.default_rng(0).random((len(x), 2)) > 0.3
    classifier = fit(x, y)
    told, held = classifier.probabilities(x, range(3)), features(embeddings, present)
    monkeypatch.setattr(probe, "ROWS", 7)
    np.testing.assert_allclose(classifier.probabilities(x, range(3)), told, rtol=1e-5)
    np.testing.assert_array_equal(features(embeddings, present), held)


def test_features_are_unit_vectors_side_by_side() -> None:
    embeddings = np.array([[[3, 4], [0, 2], [5, 0]], [[np.nan, 1], [-1, 0], [0, 0]]], np.float16)
    present = np.array([[True, True, True], [False, True, True]])
    every = features(embeddings, present)
    assert every.dtype == np.float32
    np.testing.assert_allclose(every, [[0.6, 0.8, 0, 1, 1, 0], [0, 0, -1, 0, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(features(embeddings, present, [2, 0]), every[:, [4, 5, 0, 1]])


def test_training_data_are_changed_only_where_that_is_allowed() -> None:
    x, y = blobs(1, [50] * 3, 1)
    x = x.astype(np.float32)
    kept = x.copy()
    expected = fit(x, y)
    np.testing.assert_array_equal(x, kept)
    found = fit(x, y, overwrite=True)
    np.testing.assert_array_equal(found.weights, expected.weights)
    assert abs(x.mean()) < 1e-3  # standardised where it lay


def test_a_feature_that_never_changes_is_not_read() -> None:
    (x, y), (test_x, _) = blobs(1, [50] * 3, 1), blobs(2, [50] * 3, 1)
    expected = fit(x, y).probabilities(test_x, range(3))
    constant = [np.full((150, 1), value) for value in (0, 0.1, 1e6)]
    found = fit(np.hstack([x, *constant]), y).probabilities(
        np.hstack([test_x, *(c + 0.01 for c in constant)]), range(3)
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_fit_that_was_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ROUNDS", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not fit(*blobs(1, [50] * 3, 1)).converged


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("number", "feature 3 of the samples to fit is no number"),
        ("class", "all 40 samples to fit are of class 7"),
        ("none", "0 samples"),
    ],
)
def test_what_cannot_be_fitted_is_refused(fault: str, words: str) -> None:
    x, y = blobs(1, [20] * 2, 1)
    if fault == "number":
        x[3, 3] = np.nan
    elif fault == "class":
        y = np.full_like(y, 7)
    else:
        x, y = x[:0], y[:0]
    with pytest.raises(ValueError, match=words):
        fit(x, y)
