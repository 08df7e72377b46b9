"""Few subjects teach less than many, draws are nested, and what a draw lacked is counted."""

from collections.abc import Sequence

import numpy as np
import pytest

from sleepfm_jax.evaluate import few_shot as module
from sleepfm_jax.evaluate import probe
from sleepfm_jax.evaluate.classification import class_scores
from sleepfm_jax.evaluate.few_shot import NUMBERS, Samples, few_shot


def cohort(seed: int, sizes: Sequence[int] = (20,) * 8) -> Samples:
    """Subjects with few samples of many features, most of which say nothing."""
    draw = np.random.default_rng(seed)
    subject = np.repeat(np.arange(len(sizes)), sizes)
    y = draw.integers(0, 3, len(subject))
    x = np.random.default_rng(0).standard_normal((3, 30))[y] * (np.arange(30) < 4)
    x = x + draw.standard_normal((len(sizes), 30))[subject] + draw.standard_normal(x.shape)
    return Samples(x.astype(np.float32), y, np.array([f"s{s}" for s in subject]))


def test_more_subjects_teach_more() -> None:
    train, test = cohort(1), cohort(2)
    done: list[int] = []
    one, all_of_them = few_shot(train, test, 3, [1, 8], 6, advance=lambda: done.append(1))
    assert len(done) == 12
    assert (one.subjects, one.incomplete, one.unfitted) == (1, 0, 0)
    assert one.samples.tolist() == [20] * 6
    for name in NUMBERS:
        assert one.mean(name) < all_of_them.mean(name)
        assert one.mean(name) == pytest.approx(one.values[name].mean())
        assert one.spread(name) == pytest.approx(one.values[name].std())
        assert one.spread(name) > 0
        assert all_of_them.spread(name) < 1e-6  # every draw holds everyone
    told = probe.fit(train.x, train.y).probabilities(test.x, range(3))
    expected = class_scores(test.y, told, test.subject, ["a", "b", "c"], resamples=0).values
    assert all_of_them.mean("macro AUPRC") == pytest.approx(expected["macro AUPRC"], abs=1e-4)


def test_draws_are_nested_and_of_their_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[frozenset] = []

    def judged(train: Samples, rows: np.ndarray, *_: object) -> list[float]:
        seen.append(frozenset(train.subject[rows]))
        return [0.0] * len(NUMBERS)

    monkeypatch.setattr(module, "_judged", judged)
    monkeypatch.setattr(module.pairs, "cores", lambda: 1)  # draws one after the other
    few_shot(cohort(1), cohort(2), 3, [1, 3, 8], repeats=5)
    first, again = seen[:5], seen[5:10]
    assert [len(drawn) for drawn in seen] == [1] * 5 + [3] * 5 + [8] * 5
    assert all(few < more for few, more in zip(first, again, strict=True))
    assert len(set(again)) > 1
    few_shot(cohort(1), cohort(2), 3, [1, 3, 8], repeats=5)
    assert seen[15:] == seen[:15]
    few_shot(cohort(1), cohort(2), 3, [3], repeats=5, seed=1)
    assert seen[30:] != again


def test_draws_without_all_classes_are_counted() -> None:
    train = cohort(3, sizes=(20, 21, 22, 23))  # so that a draw tells who was drawn
    y = np.where(train.subject == "s0", 2, np.where(train.subject == "s1", train.y % 2, train.y))
    one, every = few_shot(train._replace(y=y), cohort(4), 3, [1, 4], repeats=12)
    lone, partly = (one.samples == 20).sum(), (one.samples == 21).sum()
    assert 0 < lone < lone + partly < 12
    assert (one.unfitted, one.incomplete) == (lone, lone + partly)
    np.testing.assert_array_equal(np.isnan(one.values["macro AUROC"]), one.samples == 20)
    assert np.isfinite([one.mean("macro AUROC"), one.spread("macro-F1")]).all()
    assert (every.unfitted, every.incomplete) == (0, 0)


def test_more_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="9 of 8 training subjects cannot be drawn"):
        few_shot(cohort(1), cohort(2), 3, [1, 9])
