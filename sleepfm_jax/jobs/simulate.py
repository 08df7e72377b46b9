"""Simulates a cohort into a folder: nights over processes, then the tables; resumable."""

import dataclasses
import json
from pathlib import Path

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.simulate import EDF, night_files, simulate_night, write_night
from sleepfm_jax.input_pipeline.simulation.cohort import night_name, write_tables
from sleepfm_jax.jobs import runner

SETTINGS = "simulation.json"


@dataclasses.dataclass(frozen=True)
class Cohort:
    """What decides the bytes of a cohort's nights.

    Attributes:
        seed: ≥ 0.
        hours: length of each night.
        montage: one laboratory's montage for all nights; None draws one for each.
        form: "edf" or "cinc2018", in which the nights are written.
    """

    seed: int
    hours: float
    montage: str | None = None
    form: str = EDF

    @property
    def settings(self) -> dict[str, object]:
        """What the cohort's folder notes of it; the usual format goes unsaid."""
        settings = dataclasses.asdict(self)
        form = settings.pop("form")
        return settings if form == EDF else {**settings, "format": form}


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Writes a cohort's nights one by one, in any process.

    Attributes:
        cohort: which nights.
        output: folder.
    """

    cohort: Cohort
    output: Path

    def __call__(self, night: int) -> str | None:
        """Writes one night, or says that it was done before."""
        cohort = self.cohort
        files = night_files(night_name(cohort.seed, night), cohort.form)
        if all((self.output / file).exists() for file in files):
            return "done before"
        made = simulate_night(cohort.seed, night, cohort.hours, cohort.montage, cohort.form)
        write_night(made, self.output)
        return None


def simulate(cohort: Cohort, nights: int, output: Path, workers: int = 1) -> runner.Summary:
    """Fills `output` with the nights' files and the cohort's tables.

    Complete nights are kept, so that an interrupted run goes on and a cohort can grow.

    Args:
        cohort: seed, length, montage and format.
        nights: how many.
        output: folder.
        workers: processes.

    Raises:
        InputError: `output` cannot be a folder, or holds a cohort of other settings.
    """
    try:
        _claim(output / SETTINGS, cohort.settings)
        summary = runner.run(
            Simulation(cohort, output),
            range(nights),
            output,
            name=lambda night: night_name(cohort.seed, night),
            workers=min(workers, nights),
        )
        write_tables(output, cohort.seed, nights)
    except OSError as error:
        raise InputError(f"{output} cannot be filled ({error}): give another --output") from error
    return summary


def _claim(path: Path, settings: dict[str, object]) -> None:
    """Notes the settings in the folder, or checks that they are those already there."""
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(settings, indent=2) + "\n")
        return
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): give another --output") from error
    if found != settings:
        raise InputError(
            f"{path} says {json.dumps(found)}, not {json.dumps(settings)}: "
            "use those settings or another --output"
        )
