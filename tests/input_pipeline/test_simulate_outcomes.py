"""Diseases: true hazards order the events; sleep adds to demographics only where it should."""

import csv
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.input_pipeline.simulation.cohort import night_subject, write_tables
from sleepfm_jax.input_pipeline.simulation.outcomes import (
    DAYS_A_YEAR,
    DISEASES,
    baseline_hazard,
    draw_outcomes,
)
from sleepfm_jax.input_pipeline.simulation.streams import stream
from sleepfm_jax.input_pipeline.simulation.subjects import LATENTS

SUBJECTS = 1500
SLEEP = np.array([bool(disease.sleep) for disease in DISEASES])


class Cohort:
    """Outcomes and truth, each (subjects, diseases)."""

    def __init__(self) -> None:
        self.people = [night_subject(11, n) for n in range(SUBJECTS)]
        drawn = [draw_outcomes(stream(11, n, "outcomes"), s) for n, s in enumerate(self.people)]
        self.event = np.array([event for event, _ in drawn])
        self.days = np.array([days for _, days in drawn])
        self.full = np.array([[d.log_hazard(s) for d in DISEASES] for s in self.people])
        self.demographic = np.array(
            [[d.demographic_log_hazard(s) for d in DISEASES] for s in self.people]
        )


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return Cohort()


def concordance(score: np.ndarray, days: np.ndarray, event: np.ndarray) -> float:
    """Harrell's C: share of comparable pairs in which the earlier event has the higher score."""
    right = comparable = 0.0
    for i in np.flatnonzero(event):
        later = (days > days[i]) | ((days == days[i]) & ~event)
        right += (score[i] > score[later]).sum() + 0.5 * (score[i] == score[later]).sum()
        comparable += later.sum()
    return right / comparable


def concordances(cohort: Cohort, scores: np.ndarray, diseases: np.ndarray) -> np.ndarray:
    rows = slice(0, 600)
    return np.array(
        [
            concordance(scores[rows, j], cohort.days[rows, j], cohort.event[rows, j])
            for j in np.flatnonzero(diseases)
        ]
    )


def test_at_least_twenty_diseases_of_each_kind_with_distinct_phecodes() -> None:
    assert SLEEP.sum() >= 20
    assert (~SLEEP).sum() >= 20
    assert len({disease.phecode for disease in DISEASES}) == len(DISEASES)
    assert {name for disease in DISEASES for name in disease.sleep} <= set(LATENTS)


def test_sleep_adds_where_it_should(cohort: Cohort) -> None:
    full = concordances(cohort, cohort.full, SLEEP)
    demographic = concordances(cohort, cohort.demographic, SLEEP)
    assert (full - demographic).mean() > 0.18
    assert (full - demographic).min() > 0.08
    assert 0.78 < full.mean() < 0.87


def test_sleep_adds_nothing_where_it_should_not(cohort: Cohort) -> None:
    np.testing.assert_array_equal(cohort.full[:, ~SLEEP], cohort.demographic[:, ~SLEEP])
    assert concordances(cohort, cohort.full, ~SLEEP).mean() > 0.68
    # No sleep trait predicts them beyond age and sex, on average over traits and diseases.
    latents = np.array([[s.latents[name] for name in LATENTS] for s in cohort.people])
    by_trait = [
        concordances(cohort, np.tile(latents[:, [k]], len(DISEASES)), ~SLEEP).mean()
        for k in range(len(LATENTS))
    ]
    np.testing.assert_allclose(by_trait, 0.5, atol=0.03)


def test_latents_do_not_know_age_and_sex(cohort: Cohort) -> None:
    known = np.array([[s.age, s.male] for s in cohort.people], float)
    latents = np.array([[s.latents[name] for name in LATENTS] for s in cohort.people])
    correlation = np.corrcoef(known.T, latents.T)[:2, 2:]
    assert np.abs(correlation).max() < 4 / np.sqrt(SUBJECTS)
    np.testing.assert_allclose(latents.std(0), 1, atol=0.1)


def test_shares_of_events_are_as_stated(cohort: Cohort) -> None:
    stated = np.array([disease.share for disease in DISEASES])
    np.testing.assert_allclose(cohort.event.mean(0), stated, atol=0.045)
    assert stated.min() > 0.1
    assert stated.max() < 0.4


def test_times_follow_the_hazards(cohort: Cohort) -> None:
    """Events less accumulated hazard sum to zero, alone and weighted by the log hazard."""
    baseline = np.array([baseline_hazard(disease.phecode) for disease in DISEASES])
    expected = baseline * np.exp(cohort.full) * cohort.days / DAYS_A_YEAR
    residual = cohort.event - expected  # of variance `expected`
    score = residual.sum(0) / np.sqrt(expected.sum(0))
    slope = (residual * cohort.full).sum(0) / np.sqrt((expected * cohort.full**2).sum(0))
    assert np.abs(score).max() < 4
    assert np.abs(slope).max() < 4
    assert 0.7 < np.concatenate([score, slope]).std() < 1.3


def test_the_follow_up_ends_on_one_day_for_all_diseases(cohort: Cohort) -> None:
    for event, days in zip(cohort.event[:200], cohort.days[:200], strict=True):
        ends = set(days[~event])
        assert len(ends) == 1
        assert days.max() <= ends.pop()
    assert cohort.days.min() >= 1
    assert cohort.days.max() <= 15 * 366


def test_tables_are_in_the_published_formats(tmp_path: Path) -> None:
    write_tables(tmp_path, seed=11, nights=5)
    tables = {}
    for file in ("demographics", "is_event", "time_to_event", "truth"):
        with open(tmp_path / f"{file}.csv", newline="") as stream_:
            tables[file] = list(csv.DictReader(stream_))
        assert [row["Study ID"] for row in tables[file]] == [f"sim11-{n:04d}" for n in range(5)]
    phecodes = [disease.phecode for disease in DISEASES]
    assert list(tables["demographics"][0]) == ["Study ID", "age", "gender"]
    assert list(tables["is_event"][0]) == list(tables["time_to_event"][0])
    assert list(tables["is_event"][0]) == ["Study ID", *phecodes]
    for night, row in enumerate(tables["demographics"]):
        subject = night_subject(11, night)
        assert (int(row["age"]), int(row["gender"])) == (subject.age, int(subject.male))
        truth = tables["truth"][night]
        assert float(truth["apnea_index"]) == pytest.approx(subject.apnea_index, abs=1e-3)
        for disease in DISEASES:
            full = float(truth[f"log_hazard_{disease.phecode}"])
            known = float(truth[f"log_hazard_demographics_{disease.phecode}"])
            assert full == pytest.approx(disease.log_hazard(subject), abs=1e-3)
            assert (full == known) == (not disease.sleep)
    with open(tmp_path / "label_mapping.csv", newline="") as stream_:
        labels = list(csv.DictReader(stream_))
    assert [row["phecode"] for row in labels] == phecodes
    assert [int(row["label_idx"]) for row in labels] == list(range(len(phecodes)))


def test_tables_of_a_larger_cohort_begin_with_those_of_a_smaller(tmp_path: Path) -> None:
    for nights in (3, 6):
        write_tables(tmp_path / str(nights), seed=11, nights=nights)
    for file in ("demographics", "is_event", "time_to_event", "truth"):
        few, many = ((tmp_path / n / f"{file}.csv").read_text() for n in ("3", "6"))
        assert many.startswith(few)
