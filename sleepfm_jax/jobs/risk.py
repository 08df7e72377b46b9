"""Nights to the risk of each disease: one table a night, log hazards and where known chances."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from sleepfm_jax import inference, saved_model
from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.montage import Montage
from sleepfm_jax.jobs import head_nights, result_tables, runner, sources
from sleepfm_jax.jobs.made_with import MADE_WITH, MadeWith
from sleepfm_jax.jobs.people import People
from sleepfm_jax.jobs.read_ahead import ReadAhead
from sleepfm_jax.jobs.risk_estimates import RiskEstimates
from sleepfm_jax.jobs.sources import Source
from sleepfm_jax.models.disease_risk import RiskConfig

JSON = "_risk.json"


def risk(
    paths: Iterable[str | os.PathLike[str]],
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    people: People,
    montage: Montage | None = None,
    *,
    years: float = 6.0,
    dtype: str = "float32",
    precision: str = "highest",
    workers: int = 1,
    overwrite: bool = False,
) -> runner.Summary:
    """Estimates risks of all nights; what is there already and unchanged is skipped.

    Args:
        paths: recordings (HDF5), EDF and BDF files, stored embeddings, and folders of them.
        model: a folder of models with diagnosis/, and with base/ unless all nights are embedded.
        output: folder for `NIGHT.csv`, and `NIGHT_risk.json` that says what it was made with.
        people: whose nights they are.
        montage: which channels of recordings to use; None: the default rules.
        years: by which absolute risks are told, where the model has its baseline hazards.
        dtype: in which the foundation model computes.
        precision: of its matrix products.
        workers: nights that are read at a time, ahead of the models.
        overwrite: estimate every night anew.

    Raises:
        InputError: a model cannot be used, it needs ages and sexes and there are none, a path does
            not exist, or there is no night.
    """
    tasks = head_nights.find(paths)
    threads = max(1, runner.cores() // workers)
    saved = saved_model.load(model, "diagnosis")
    embedded = isinstance(saved.config, RiskConfig)
    foundation = head_nights.Foundation(model, montage, dtype, precision, threads, embedded)
    head, estimates = inference.load_risk(model), RiskEstimates(saved, people, years)
    folder = Path(output)
    settings = {
        "diagnosis_sha256": saved.content_hash,
        "model_sha256": foundation.sha256,
        "settings": sources.montage_digest(montage or Montage(), dtype, precision, years),
    }
    made_with = MadeWith(folder, JSON, settings, overwrite, estimates.trace)

    def read(source: Source) -> head_nights.Read:
        source.refuse_rival()
        return "done before" if made_with.has(source) else foundation.read(source)

    with ReadAhead(tasks, read, workers) as ahead:

        def estimate_night(source: Source) -> str | None:
            night = ahead.take(source)
            if isinstance(night, str):
                return night
            log_hazard = head.risk(
                foundation.embed(night) if embedded else night,
                estimates.demographics(source.name),
            )
            rows = estimates.rows(source.name, log_hazard)
            result_tables.write(folder / f"{source.name}.csv", rows)
            _write_json(folder / f"{source.name}{JSON}", made_with.of(source))
            return None

        return runner.run(estimate_night, tasks, folder, name=lambda task: str(task.path))


def _write_json(path: Path, made_with: Mapping[str, str]) -> None:
    """Says that a night is done, and with what."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({MADE_WITH: dict(made_with)}, indent=2) + "\n")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): free some space or choose another "
            "--output"
        ) from error
