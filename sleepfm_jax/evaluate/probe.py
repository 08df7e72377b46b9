"""A linear classifier on frozen embeddings: the plainest test of what they hold."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sleepfm_jax.evaluate import pairs
from sleepfm_jax.evaluate.retrieval import normalise

ROUNDS = 1000  # of the optimiser at most
STRENGTH = 0.01  # scikit-learn's C on standardised features; 1 takes four times the rounds for less
ROWS = 4096  # at a time


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A fitted multinomial logistic regression.

    Attributes:
        classes: (K,) as the training data had them, rising.
        weights: (F, K) float32 on features as they come; standardisation is folded in.
        bias: (K,) float32.
        samples: how many it was fitted on.
        iterations: of the optimiser.
        converged: whether the fit ended by itself.
    """

    classes: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    samples: int
    iterations: int
    converged: bool

    def probabilities(self, x: np.ndarray, classes: Sequence | np.ndarray) -> np.ndarray:
        """Chance of each class.

        Args:
            x: (n, F) features.
            classes: K names; one that the training data lacked gets zeros.

        Returns:
            (n, K) float32, in the order of `classes`.

        Raises:
            ValueError: a class of the training data is not among them, or x has other features.
        """
        if x.ndim != 2 or x.shape[1] != len(self.weights):
            raise ValueError(f"{len(self.weights)} features were fitted, not those of {x.shape}")
        place = {name: k for k, name in enumerate(np.asarray(classes).tolist())}
        missing = [name for name in self.classes.tolist() if name not in place]
        if missing:
            raise ValueError(f"classes {missing} were fitted but are not asked for")
        found = np.zeros((len(x), len(place)), np.float32)
        columns = [place[name] for name in self.classes.tolist()]
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            logits = np.asarray(x[rows], np.float32) @ self.weights + self.bias  # (n, K)
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            found[rows, columns] = odds / odds.sum(axis=1, keepdims=True)
        return found


def features(
    embeddings: np.ndarray, present: np.ndarray, modalities: Sequence[int] | None = None
) -> np.ndarray:
    """Unit vectors of some modalities side by side, zeros where one is absent.

    Args:
        embeddings: (N, M, E).
        present: (N, M).
        modalities: which, in this order; None: all.

    Returns:
        (N, m · E) float32.
    """
    N, M, E = embeddings.shape
    chosen = np.arange(M) if modalities is None else np.array(modalities, int)
    found = np.empty((N, len(chosen), E), np.float32)
    for start in range(0, N, ROWS):
        rows = slice(start, start + ROWS)
        found[rows] = normalise(embeddings[rows][:, chosen], present[rows][:, chosen])
    return found.reshape(N, -1)


def fit(
    x: np.ndarray, y: np.ndarray, strength: float = STRENGTH, overwrite: bool = False
) -> Classifier:
    """Standardises features on the training data and fits multinomial logistic regression.

    Classes weigh alike in the fit, however rare they are. Whoever calls splits: samples of a night
    or of a subject belong all to training or all to test, or the result is too good.

    Args:
        x: (n, F) features; computed with in float32.
        y: (n,) classes, at least two different ones.
        strength: C of scikit-learn, the inverse of the penalty on squared weights.
        overwrite: whether x may be standardised in place, which saves its size in memory.

    Raises:
        ValueError: there is nothing to fit on, a feature is no number, or y has fewer than two
            classes.
    """
    if len(x) != len(y) or not len(x):
        raise ValueError(f"nothing can be fitted on {len(x)} samples with {len(y)} classes")
    if len(np.unique(y)) < 2:
        raise ValueError(f"all {len(y)} samples to fit are of class {y[0]}: two are needed")
    x = np.asarray(x, np.float32) if overwrite else np.array(x, np.float32)
    mean, scale = _standardise(x)
    regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=ROUNDS)
    with warnings.catch_warnings(), pairs.one_blas_thread():  # products of few columns
        warnings.simplefilter("ignore", ConvergenceWarning)  # said by `converged`
        regression.fit(x, y)
    coefficients, bias = _both_classes(regression)
    weights = coefficients / scale  # (K, F)
    return Classifier(
        classes=regression.classes_,
        weights=np.ascontiguousarray(weights.T, np.float32),
        bias=(bias - weights @ mean).astype(np.float32),
        samples=len(y),
        iterations=int(np.max(regression.n_iter_)),
        converged=bool(np.max(regression.n_iter_) < ROUNDS),
    )


def _standardise(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (F,) of features, in whose units they are from then on.

    In place and a few rows at a time: scikit-learn's scaler takes three times the size of x.
    """
    mean = x.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ValueError(f"feature {np.isfinite(mean).argmin()} of the samples to fit is no number")
    square = np.zeros_like(mean)
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        x[rows] -= mean.astype(np.float32)
        square += np.einsum("nf,nf->f", x[rows], x[rows], dtype=np.float64)
    scale = np.sqrt(square / len(x))
    scale[scale <= 1e-6 * abs(mean)] = 1  # constant, but for rounding
    x /= scale.astype(np.float32)
    return mean, scale


def _both_classes(regression: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """(K, F) coefficients and (K,) intercepts; of two classes scikit-learn keeps the second's."""
    coefficients = regression.coef_.astype(np.float64)
    bias = regression.intercept_.astype(np.float64)
    if len(regression.classes_) == 2:
        return np.vstack([0 * coefficients, coefficients]), np.concatenate([0 * bias, bias])
    return coefficients, bias
