"""Nights that both a model and a scorer have staged, matched in time."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate.sleep_statistics import SleepStatistics, sleep_statistics
from sleepfm_jax.input_pipeline import annotations
from sleepfm_jax.input_pipeline.annotations import Annotations, Hypnogram
from sleepfm_jax.input_pipeline.hypnogram import (
    EPOCH,
    STAGES,
    STEP,
    UNSCORED,
    epochs,
    most_likely,
)

STAGED, STEPS = "_hypnogram.json", "_steps.tsv"  # what `sleepfm-jax stage` writes, at 30 s and 5 s
TABLES = ("failures", "sleep_statistics")  # that are no night
OTHER = tuple(suffix.lower() for suffix in annotations.SUFFIXES)
YASA_COLUMNS = ("WAKE", "N1", "N2", "N3", "REM")


@dataclasses.dataclass(frozen=True)
class StagedNight:
    """One night, staged twice; −1 is unscored.

    Attributes:
        name: of the night.
        truth_steps: (T,) the scorer's stage of each 5-second step.
        steps: (T,) the model's.
        truth_epochs: (K,) the scorer's stage of each 30-second epoch, at its middle.
        epochs: (K,) the model's.
        confidence: mean probability of the stages that the model chose; NaN if not told.
        scorer: sleep statistics by the scorer's stages.
        model: by the model's, between the same lights off and on.
        note: what is odd about the pair; empty if nothing is.
    """

    name: str
    truth_steps: np.ndarray
    steps: np.ndarray
    truth_epochs: np.ndarray
    epochs: np.ndarray
    confidence: float
    scorer: SleepStatistics
    model: SleepStatistics
    note: str


def find_predictions(folder: Path) -> dict[str, Path]:
    """The file of each night's predictions, by the night's name.

    Args:
        folder: that `sleepfm-jax stage` wrote, or one of label files in any format, as of a
            second scorer.

    Raises:
        InputError: there is none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give the one that `sleepfm-jax stage` wrote")
    inside = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    inside = [file for file in inside if not any(p.startswith(".") for p in _parts(file, folder))]
    names = {file: file.relative_to(folder).as_posix() for file in inside}
    staged = [file for file in inside if file.name.endswith(STAGED)]
    if staged:
        beside = [file.with_name(file.name.removesuffix(STAGED) + STEPS) for file in staged]
        return {
            names[file].removesuffix(STAGED): steps if steps.is_file() else file
            for file, steps in zip(staged, beside, strict=True)
        }
    labels = [file for file in inside if file.name.lower().endswith(OTHER)]
    labels = [file for file in labels if file.stem not in TABLES]
    if not labels:
        raise InputError(
            f"{folder} holds no staged night: give the folder that `sleepfm-jax stage` wrote, or "
            "one of label files"
        )
    return {Path(names[file]).with_suffix("").as_posix(): file for file in labels}


def match(name: str, prediction: Path, labels: Path) -> StagedNight:
    """Reads both hypnograms of a night and brings them onto the same steps and epochs.

    Args:
        name: of the night.
        prediction: its file.
        labels: folder of the scorer's files.

    Raises:
        InputError: the night has no label file, a file cannot be read or holds no stages, or the
            two have no scored epoch in common.
    """
    label = annotations.find_below(labels, name)
    if label is None:
        raise InputError(
            f"{name} has no label file in {labels}: add one named {Path(name).name}, or leave the "
            "night out"
        )
    told = annotations.read_hypnogram(prediction)
    marks = annotations.read(label)
    if marks.hypnogram is None:
        raise InputError(f"{label} holds no sleep stages: give the file that has them")
    count = int(np.ceil(told.stops.max() / STEP))
    steps = told.steps(count)
    shares = epochs(_step_probabilities(prediction, told, steps))  # (K, 5)
    middles = (np.arange(len(shares)) + 0.5) * EPOCH
    truth, predicted = marks.hypnogram.at(middles), most_likely(shares)
    if not ((truth >= 0) & (predicted >= 0)).any():
        raise InputError(
            f"{label} scores no epoch within the {count * STEP / 60:.1f} minutes that {prediction} "
            "stages: check that both are of one night and count time from the recording's start"
        )
    (off, on), note = _lights(marks, truth)
    return StagedNight(
        name=name,
        truth_steps=marks.hypnogram.steps(count),
        steps=steps,
        truth_epochs=truth,
        epochs=predicted,
        confidence=_confidence(prediction),
        scorer=sleep_statistics(truth, EPOCH, off, on),
        model=sleep_statistics(predicted, EPOCH, off, on),
        note="; ".join(filter(None, [_length(marks.hypnogram, truth, count), note])),
    )


def _parts(file: Path, folder: Path) -> tuple[str, ...]:
    return file.relative_to(folder).parts


def _step_probabilities(prediction: Path, told: Hypnogram, steps: np.ndarray) -> np.ndarray:
    """(T, 5) of each step; where a file tells none, all is given to the stage that it chose."""
    certain = np.where(steps[:, None] == np.arange(len(STAGES)), 1.0, 0.0)
    certain[steps == UNSCORED] = np.nan
    shares = probabilities(prediction)
    if shares is None or len(shares) != len(told.starts) or told.stops[0] >= EPOCH:
        return certain
    row = np.searchsorted(told.starts, (np.arange(len(steps)) + 0.5) * STEP, side="right") - 1
    return np.where(np.isnan(certain), np.nan, shares[np.maximum(row, 0)])


def probabilities(path: Path) -> np.ndarray | None:
    """(K, 5) probabilities of the stages that a file tells, row by row; None if it tells none.

    Args:
        path: YASA's JSON, or events with a column a stage.

    Raises:
        InputError: they are damaged.
    """
    try:
        if path.suffix.lower() == ".json":
            shares = json.loads(path.read_text(encoding="utf-8")).get("proba")
            columns = shares and [shares[name] for name in YASA_COLUMNS]
        elif path.suffix.lower() == ".tsv":
            header, *lines = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
            rows = [dict(zip(header, line, strict=True)) for line in lines if line != [""]]
            told = set(STAGES) <= set(header)
            columns = told and [[row[name] for row in rows] for name in STAGES]
        else:
            return None
        if not columns:
            return None
        unknown = ("n/a", "", None)
        return np.array(
            [[np.nan if cell in unknown else float(cell) for cell in column] for column in columns]
        ).T
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path} holds damaged probabilities ({type(error).__name__}: {error}): stage the "
            "night again"
        ) from error


def _confidence(path: Path) -> float:
    shares = probabilities(path)
    if shares is None or np.isnan(shares).all():
        return np.nan
    return float(np.nanmean(np.nanmax(shares[~np.isnan(shares).any(axis=1)], axis=1)))


def _lights(marks: Annotations, truth: np.ndarray) -> tuple[tuple[float, float], str]:
    """Seconds of lights off and on, as marked or else the ends of what is scored; and a note."""
    scored = np.flatnonzero(truth >= 0)
    ends = float(scored[0] * EPOCH), float((scored[-1] + 1) * EPOCH)
    marked = [
        next((event.start for event in marks.events if event.kind == kind), end)
        for kind, end in zip(("lights off", "lights on"), ends, strict=True)
    ]
    off, on = max(marked[0], 0.0), min(marked[1], len(truth) * EPOCH)
    if off < on and (truth[int(off // EPOCH) : int(np.ceil(on / EPOCH))] >= 0).any():
        return (off, on), ""
    return ends, "lights off and on do not enclose the scored part, which is taken instead"


def _length(hypnogram: Hypnogram, truth: np.ndarray, count: int) -> str:
    """What is odd about the length of the labels."""
    beyond = hypnogram.stops[hypnogram.stages >= 0].max() - count * STEP
    if beyond > EPOCH:
        return f"labels go on {beyond / 60:.1f} min after the night's end, which are not used"
    share = (truth >= 0).mean()
    return "" if share >= 0.5 else f"labels cover {100 * share:.0f} % of the night"
