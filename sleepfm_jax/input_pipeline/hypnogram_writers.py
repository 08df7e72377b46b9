"""A staged night for other programs: EDF+ annotations, BIDS events, Luna `.annot`, YASA JSON."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import edfio
import numpy as np

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.hypnogram import (
    EPOCH,
    STAGES,
    STEP,
    UNSCORED,
    epochs,
    most_likely,
)

# By stage, the last one for unscored (-1).
EDF_TEXTS = tuple(f"Sleep stage {word}" for word in ("W", "N1", "N2", "N3", "R", "?"))
LUNA_CLASSES = ("W", "N1", "N2", "N3", "R", "?")
YASA_VALUES = ("WAKE", "N1", "N2", "N3", "REM", "UNS")
SCORER = "SleepFM"


def write(
    place: Path, probabilities: np.ndarray, made_with: Mapping[str, str] | None = None
) -> tuple[Path, ...]:
    """Writes a night in all formats, the JSON last; each file is complete or absent.

    Times are seconds from the recording's start. No file tells a date, a name or a folder.

    Args:
        place: FOLDER/NIGHT, which becomes NIGHT_hypnogram.edf, NIGHT_events.tsv and NIGHT.annot of
            30-second epochs, NIGHT_steps.tsv of 5-second steps, and NIGHT_hypnogram.json.
        probabilities: (T, 5) of the stages at each 5-second step; NaN where not known.
        made_with: kept in the JSON, where YASA passes over it.

    Returns:
        The files.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    shares, steps = epochs(probabilities), len(probabilities)  # (K, 5)
    stages = most_likely(shares)
    writers: dict[str, Callable[[Path], None]] = {
        "_hypnogram.edf": lambda path: write_edf(path, stages, steps),
        "_events.tsv": lambda path: write_events(path, shares, steps),
        "_steps.tsv": lambda path: write_events(path, probabilities, steps, STEP),
        ".annot": lambda path: write_luna(path, stages, steps),
        "_hypnogram.json": lambda path: write_yasa(path, shares, made_with or {}),
    }
    paths = tuple(place.with_name(place.name + ending) for ending in writers)
    for path, writer in zip(paths, writers.values(), strict=True):
        try:
            with replacing(path) as temporary:
                writer(temporary)
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}): free some space or choose another "
                "folder"
            ) from error
    return paths


def write_edf(path: Path, stages: np.ndarray, steps: int) -> None:
    """Writes EDF+C with annotations alone, one an epoch: `Sleep stage W`, N1, N2, N3, R or ?."""
    edfio.Edf(
        [],
        annotations=[
            edfio.EdfAnnotation(begin, stop - begin, EDF_TEXTS[stage])
            for begin, stop, stage in _stretches(stages, steps)
        ],
    ).write(path)


def write_events(path: Path, probabilities: np.ndarray, steps: int, length: float = EPOCH) -> None:
    """Writes onset, duration, trial_type and the probability of each stage, parted by tabs."""
    stages = most_likely(probabilities)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["onset", "duration", "trial_type", *STAGES])
        rows = zip(_stretches(stages, steps, length), probabilities, strict=True)
        for (begin, stop, stage), shares in rows:
            known = [f"{p:.6f}" if stage != UNSCORED else "n/a" for p in shares]
            table.writerow([f"{begin:g}", f"{stop - begin:g}", EDF_TEXTS[stage], *known])


def write_luna(path: Path, stages: np.ndarray, steps: int) -> None:
    """Writes Luna's class, instance, channel, start, stop and meta; classes W N1 N2 N3 R ?."""
    with path.open("w", encoding="utf-8") as file:
        file.write("class\tinstance\tchannel\tstart\tstop\tmeta\n")
        for begin, stop, stage in _stretches(stages, steps):
            file.write(f"{LUNA_CLASSES[stage]}\t.\t.\t{begin:.3f}\t{stop:.3f}\t.\n")


def write_yasa(path: Path, probabilities: np.ndarray, made_with: Mapping[str, str]) -> None:
    """Writes what `yasa.Hypnogram.from_json` reads: values, n_stages, freq, start, scorer, proba.

    A last epoch of less than 30 s counts as a whole one there, as YASA's have one length.
    """
    stages = most_likely(probabilities)
    unscored = stages == UNSCORED
    shares = np.where(unscored[:, None], 0.0, np.round(probabilities.astype(float), 6))  # (K, 5)
    columns = dict(zip(YASA_VALUES, shares.T.tolist(), strict=False))
    if unscored.any():  # YASA wants rows that sum to 1
        columns[YASA_VALUES[UNSCORED]] = unscored.astype(float).tolist()
    told = {
        "values": [YASA_VALUES[stage] for stage in stages],
        "n_stages": len(STAGES),
        "freq": f"{EPOCH:g}s",
        "start": None,
        "scorer": SCORER,
        "proba": columns,
        "made_with": dict(made_with),
    }
    path.write_text(json.dumps(told, indent=2), encoding="utf-8")


def _stretches(
    stages: np.ndarray, steps: int, length: float = EPOCH
) -> Iterator[tuple[float, float, int]]:
    """Start and stop in seconds, and stage, of each epoch or step."""
    for row, stage in enumerate(stages):
        yield row * length, min((row + 1) * length, steps * STEP), int(stage)
