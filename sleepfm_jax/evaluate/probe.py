"""What a linear classifier reads out of frozen embeddings: the plainest test of what they hold."""

import dataclasses
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROUNDS = 1000  # of the optimiser; a few hundred suffice for thousands of embeddings


@dataclasses.dataclass(frozen=True)
class Probe:
    """How well a class was told on test data.

    Attributes:
        accuracy: share of samples told right.
        macro_f1: mean F1 over the classes that the test data have.
        kappa: Cohen's, agreement beyond chance; 0 is chance, 1 is all right.
        train_samples: how many the classifier was fitted on.
        test_samples: how many it was judged on.
        converged: whether the fit ended by itself.
    """

    accuracy: float
    macro_f1: float
    kappa: float
    train_samples: int
    test_samples: int
    converged: bool


def linear_probe(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray
) -> Probe:
    """Standardises features on the training data, fits multinomial logistic regression, judges it.

    Classes weigh alike in the fit, however rare they are. Whoever calls splits: samples of a night
    or of a subject belong all to one side, or the result is too good.

    Args:
        train_x: (n, E) features.
        train_y: (n,) classes, at least two different ones.
        test_x: (k, E) features.
        test_y: (k,) classes.

    Raises:
        ValueError: there is no test data, a feature is no number, or fewer than two classes are
            there to fit.
    """
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=ROUNDS)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said by `converged`
        classifier.fit(np.asarray(train_x, np.float64), train_y)
    told = classifier.predict(np.asarray(test_x, np.float64))
    return Probe(
        accuracy=float(accuracy_score(test_y, told)),
        macro_f1=float(
            f1_score(test_y, told, labels=np.unique(test_y), average="macro", zero_division=0)
        ),
        kappa=_kappa(test_y, told),
        train_samples=len(train_y),
        test_samples=len(test_y),
        converged=bool(np.max(classifier[-1].n_iter_) < ROUNDS),
    )


def _kappa(truth: np.ndarray, told: np.ndarray) -> float:
    """Cohen's kappa; 0 where there is but one class and so nothing beyond chance to agree on."""
    if len(np.unique(np.concatenate([truth, told]))) < 2:
        return 0.0
    return float(cohen_kappa_score(truth, told))
