"""Simulates a cohort into a folder: nights over processes, then the tables; resumable."""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.simulate import simulate_night, write_night
from sleepfm_jax.input_pipeline.simulation.cohort import night_name, write_tables

SETTINGS = "simulation.json"


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        made: nights written.
        kept: nights that were there already.
        seconds: wall time.
    """

    made: int
    kept: int
    seconds: float


def simulate_cohort(
    output: Path,
    nights: int,
    hours: float,
    seed: int,
    montage: str | None = None,
    workers: int = 1,
) -> Summary:
    """Fills `output` with `edf/`, `stages/` and the cohort's tables.

    Complete nights are kept, so that an interrupted run goes on and a cohort can grow.

    Args:
        output: folder.
        nights: how many.
        hours: length of each.
        seed: of the cohort.
        montage: one laboratory's montage for all nights; None draws one a night.
        workers: processes.

    Raises:
        InputError: `output` is no folder, or holds a cohort of another seed, length or montage.
    """
    started = time.monotonic()
    _claim(output, {"seed": seed, "hours": hours, "montage": montage})
    missing = [n for n in range(nights) if not _is_complete(output, night_name(seed, n))]
    write_one = partial(_write_one, output, hours, seed, montage)
    progress = tqdm(total=nights, initial=nights - len(missing), unit="night", desc="simulate")
    with progress:
        for _ in _over_processes(write_one, missing, workers):
            progress.update()
    write_tables(output, seed, nights)
    return Summary(len(missing), nights - len(missing), time.monotonic() - started)


def _write_one(output: Path, hours: float, seed: int, montage: str | None, night: int) -> None:
    write_night(simulate_night(seed, night, hours, montage), output)


def _over_processes(
    function: Callable[[int], None], items: list[int], workers: int
) -> Iterator[None]:
    if workers <= 1 or len(items) <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), mp_context=context) as pool:
        try:
            for future in as_completed([pool.submit(function, item) for item in items]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _is_complete(output: Path, name: str) -> bool:
    return (output / "edf" / f"{name}.edf").exists() and (
        output / "stages" / f"{name}.csv"
    ).exists()


def _claim(output: Path, settings: dict[str, object]) -> None:
    """Notes the settings in the folder, or checks that they are those already there."""
    path = output / SETTINGS
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is not a folder; choose another --output")
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path} is not JSON ({error}); choose another --output") from error
        if found != settings:
            raise InputError(
                f"{path} was made with {_words(found)}, not {_words(settings)}; "
                "use those settings or another --output"
            )
        return
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(settings, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{output} cannot be written to ({error.strerror})") from error


def _words(settings: object) -> str:
    if not isinstance(settings, dict):
        return repr(settings)
    return ", ".join(f"{name} {value}" for name, value in settings.items())
