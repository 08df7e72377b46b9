"""The probe reads what is linearly there and nothing else."""

import warnings

import numpy as np
import pytest

from sleepfm_jax.evaluate.probe import linear_probe


def blobs(seed: int, counts: list[int], apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples of classes around the same centres for every seed, on features of odd scales."""
    centres = apart * np.random.default_rng(0).standard_normal((len(counts), 8))
    draw = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    x = centres[y] + draw.standard_normal((len(y), 8))
    order = draw.permutation(len(y))
    return (x * 10.0 ** np.arange(-4, 4) + 5)[order], y[order]


def test_separate_classes_are_told_apart() -> None:
    found = linear_probe(*blobs(1, [60] * 5, 10), *blobs(2, [40] * 5, 10))
    assert (found.accuracy, found.macro_f1, found.kappa) == (1, 1, 1)
    assert (found.train_samples, found.test_samples, found.converged) == (300, 200, True)


def test_what_is_not_there_is_not_told() -> None:
    found = linear_probe(*blobs(1, [200] * 4, 0), *blobs(2, [200] * 4, 0))
    assert abs(found.accuracy - 0.25) < 0.06
    assert abs(found.kappa) < 0.08


def test_rare_classes_weigh_as_much_as_common_ones() -> None:
    """Without balance nearly everything would be told to be of the common class."""
    found = linear_probe(*blobs(1, [2000, 20], 0.35), *blobs(2, [500, 500], 0.35))
    assert found.accuracy > 0.65


def test_numbers_are_those_of_their_formulas() -> None:
    train_x = np.array([[-1.0], [-1.0], [1.0], [1.0]])
    test_x = np.array([[-2.0], [-2.0], [2.0], [2.0], [2.0]])
    test_y = np.array([0, 0, 0, 1, 1])  # told: 0 0 1 1 1
    found = linear_probe(train_x, np.array([0, 0, 1, 1]), test_x, test_y)
    assert found.accuracy == pytest.approx(0.8)
    assert found.macro_f1 == pytest.approx((0.8 + 0.8) / 2)
    chance = (3 * 2 + 2 * 3) / 25
    assert found.kappa == pytest.approx((0.8 - chance) / (1 - chance))


def test_the_scale_of_features_and_names_of_classes_do_not_matter() -> None:
    (x, y), (test_x, test_y) = blobs(1, [50] * 3, 1), blobs(2, [50] * 3, 1)
    names = np.array(["Wake", "N2", "REM"])
    scale = 10.0 ** np.arange(8)
    expected = linear_probe(x, y, test_x, test_y)
    assert 0.5 < expected.accuracy < 1
    found = linear_probe(x * scale - 3, names[y], test_x * scale - 3, names[test_y])
    assert found == expected


def test_a_test_set_of_one_class() -> None:
    (x, y), (test_x, test_y) = blobs(1, [50] * 3, 10), blobs(2, [50] * 3, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = linear_probe(x, y, test_x[test_y == 1], test_y[test_y == 1])
    assert (found.accuracy, found.macro_f1, found.kappa) == (1, 1, 0)


@pytest.mark.parametrize("fault", ["not a number", "one class", "no test data"])
def test_what_cannot_be_probed_is_refused(fault: str) -> None:
    x, y = blobs(1, [20] * 2, 1)
    test_x, test_y = blobs(2, [20] * 2, 1)
    if fault == "not a number":
        x[3, 3] = np.nan
    elif fault == "one class":
        y = np.zeros_like(y)
    else:
        test_x, test_y = test_x[:0], test_y[:0]
    with pytest.raises(ValueError):
        linear_probe(x, y, test_x, test_y)
