"""Numbers of classes are scikit-learn's; intervals are those of subjects drawn with replacement."""

import numpy as np
import pytest
from sklearn import metrics

from sleepfm_jax.evaluate import classification
from sleepfm_jax.evaluate.classification import ClassScores, class_scores

NAMES = ["Wake", "N1", "N2", "N3", "REM"]


def told(seed: int, N: int, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, probabilities and subjects; some subjects are harder than others."""
    draw = np.random.default_rng(seed)
    truth, subject = draw.choice(5, N, p=[0.3, 0.05, 0.4, 0.1, 0.15]), draw.integers(0, 8, N)
    logits = draw.standard_normal((N, 5))
    logits[np.arange(N), truth] += sharpness * (0.5 + subject / 4)
    odds = np.exp(logits.round(1))
    return truth, odds / odds.sum(axis=1, keepdims=True), subject


def test_numbers_are_scikit_learns() -> None:
    truth, probabilities, subject = told(0, 400)
    found = class_scores(truth, probabilities, subject, NAMES, resamples=0)
    best = probabilities.argmax(axis=1)
    one_hot = np.eye(5)[truth]
    expected = {
        "macro AUROC": metrics.roc_auc_score(truth, probabilities, multi_class="ovr"),
        "macro AUPRC": metrics.average_precision_score(one_hot, probabilities),
        "accuracy": metrics.accuracy_score(truth, best),
        "macro-F1": metrics.f1_score(truth, best, average="macro"),
        "kappa": metrics.cohen_kappa_score(truth, best),
    }
    for k, name in enumerate(NAMES):
        expected[f"AUROC {name}"] = metrics.roc_auc_score(truth == k, probabilities[:, k])
        area = metrics.average_precision_score(truth == k, probabilities[:, k])
        expected[f"AUPRC {name}"] = area
        expected[f"F1 {name}"] = metrics.f1_score(truth == k, best == k)
    assert list(found.values) == list(expected)
    assert found.values == pytest.approx(expected, rel=1e-10)
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(truth, best))
    assert found.prevalence == pytest.approx(dict(zip(NAMES, one_hot.mean(axis=0), strict=True)))
    assert (found.samples, found.subjects, found.reasons) == (400, 8, {})
    assert np.isnan(list(found.intervals.values())).all()


def test_intervals_are_those_of_subjects_drawn_one_by_one() -> None:
    truth, probabilities, subject = told(1, 300)
    found = class_scores(truth, probabilities, np.array(list("abcdefgh"))[subject], NAMES, 400)
    draw = np.random.default_rng(3)
    rows = [np.flatnonzero(subject == s) for s in range(8)]
    samples = []
    for _ in range(150):
        drawn = np.concatenate([rows[s] for s in draw.integers(0, 8, 8)])
        samples.append(class_scores_of(truth[drawn], probabilities[drawn]))
    low, high = np.quantile(samples, [0.025, 0.975], axis=0)
    for place, name in enumerate(["macro AUROC", "AUPRC N2", "kappa"]):
        width = high[place] - low[place]
        assert found.intervals[name] == pytest.approx((low[place], high[place]), abs=width / 3)
        assert found.intervals[name][0] < found.values[name] < found.intervals[name][1]


def class_scores_of(truth: np.ndarray, probabilities: np.ndarray) -> list[float]:
    return [
        metrics.roc_auc_score(truth, probabilities, multi_class="ovr"),
        metrics.average_precision_score(truth == 2, probabilities[:, 2]),
        metrics.cohen_kappa_score(truth, probabilities.argmax(axis=1)),
    ]


def test_a_class_that_the_test_data_lack_is_said() -> None:
    truth, probabilities, subject = told(2, 200)
    some = (truth != 1) & (truth != 4)
    found = class_scores(truth[some], probabilities[some], subject[some], NAMES, 50)
    assert np.isnan([found.values["AUROC N1"], found.values["AUPRC REM"]]).all()
    assert found.reasons["AUROC N1"] == found.reasons["AUPRC N1"] == "the test data have no N1"
    assert found.reasons["macro AUROC"] == "the test data have no N1, REM: a mean of the others"
    expected = np.mean([found.values[f"AUROC {name}"] for name in ("Wake", "N2", "N3")])
    assert found.values["macro AUROC"] == pytest.approx(expected)
    assert np.isfinite(found.intervals["macro AUROC"]).all()
    assert "AUROC Wake" not in found.reasons


def test_one_class_or_one_subject() -> None:
    truth, probabilities, subject = told(3, 50)
    found = class_scores(np.full(50, 2), np.eye(5)[np.full(50, 2)], subject, NAMES, 20)
    assert found.reasons["AUROC N2"] == "the test data hold one class alone"
    assert found.reasons["macro AUROC"] == "the test data hold one class alone"
    assert found.reasons["kappa"] == "truth and prediction hold one class alone"
    assert (found.values["AUPRC N2"], found.values["accuracy"]) == (1, 1)
    alone = class_scores(truth, probabilities, np.zeros(50), NAMES, 20)
    assert np.isnan(alone.intervals["accuracy"]).all()
    assert alone.reasons["accuracy"] == "no interval: one subject cannot be resampled"


def test_equal_seeds_give_equal_intervals() -> None:
    def scores(seed: int) -> ClassScores:
        return class_scores(*told(4, 100), NAMES, 30, seed)

    assert scores(1).intervals == scores(1).intervals != scores(2).intervals
    assert scores(1).values == scores(2).values


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("empty", "no sample"),
        ("number", "no number"),
        ("unscored", "classes are 0 to 4: -1 to 4 found"),
        ("columns", r"\(60, 4\) probabilities are given for 60 samples of 5 classes"),
    ],
)
def test_what_cannot_be_judged_is_refused(fault: str, words: str) -> None:
    truth, probabilities, subject = told(5, 60)
    if fault == "empty":
        truth, probabilities, subject = truth[:0], probabilities[:0], subject[:0]
    elif fault == "number":
        probabilities[3, 3] = np.nan
    elif fault == "unscored":
        truth[0] = -1
    else:
        probabilities = probabilities[:, :4]
    with pytest.raises(ValueError, match=words):
        classification.class_scores(truth, probabilities, subject, NAMES)
