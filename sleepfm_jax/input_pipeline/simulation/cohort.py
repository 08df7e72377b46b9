"""A cohort's tables in the published formats: demographics, outcomes, labels, and the truth."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from sleepfm_jax.atomic import replacing
from sleepfm_jax.input_pipeline.simulation.outcomes import DISEASES, draw_outcomes
from sleepfm_jax.input_pipeline.simulation.streams import stream
from sleepfm_jax.input_pipeline.simulation.subjects import Subject, draw_subject


def night_name(seed: int, night: int) -> str:
    """Study ID of a night; one night a subject."""
    return f"sim{seed}-{night:04d}"


def night_subject(seed: int, night: int) -> Subject:
    """Who sleeps in a night."""
    return draw_subject(stream(seed, night, "subject"))


def write_tables(folder: Path, seed: int, nights: int) -> None:
    """Writes a cohort's CSV files, each keyed by `Study ID`.

    `demographics.csv` (age in years; gender 0 female, 1 male), `is_event.csv` and
    `time_to_event.csv` (one column a phecode; 0 or 1; days), `label_mapping.csv`, and
    `truth.csv`: traits, latents and, for each phecode, the true relative log hazard with
    (`log_hazard`) and without (`log_hazard_demographics`) what sleep brings.

    Raises:
        OSError: the folder cannot be written to.
    """
    names = [night_name(seed, night) for night in range(nights)]
    subjects = [night_subject(seed, night) for night in range(nights)]
    outcomes = [
        draw_outcomes(stream(seed, night, "outcomes"), subject)
        for night, subject in enumerate(subjects)
    ]
    phecodes = [disease.phecode for disease in DISEASES]
    _write(
        folder / "demographics.csv",
        ["Study ID", "age", "gender"],
        ([name, s.age, int(s.male)] for name, s in zip(names, subjects, strict=True)),
    )
    for file, part in (("is_event.csv", 0), ("time_to_event.csv", 1)):
        rows = ([n, *o[part].astype(int)] for n, o in zip(names, outcomes, strict=True))
        _write(folder / file, ["Study ID", *phecodes], rows)
    _write(
        folder / "label_mapping.csv",
        ["label_idx", "phecode", "phenotype"],
        ([index, d.phecode, d.phenotype] for index, d in enumerate(DISEASES)),
    )
    truth = [{"Study ID": n, **_truth(s)} for n, s in zip(names, subjects, strict=True)]
    _write(folder / "truth.csv", list(truth[0]), (row.values() for row in truth))


def _truth(subject: Subject) -> dict[str, float]:
    traits = asdict(subject)
    latents = traits.pop("latents")
    row = {name: round(float(value), 4) for name, value in traits.items()}
    row |= {f"latent_{name}": round(value, 4) for name, value in latents.items()}
    for disease in DISEASES:
        row[f"log_hazard_{disease.phecode}"] = round(disease.log_hazard(subject), 4)
    for disease in DISEASES:
        known = disease.demographic_log_hazard(subject)
        row[f"log_hazard_demographics_{disease.phecode}"] = round(known, 4)
    return row


def _write(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
