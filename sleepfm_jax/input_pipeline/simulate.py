"""One simulated night from (seed, index): subject, hypnogram and signals, and the files they fill.

The parts are in `simulation/`; what they are drawn from is in docs/simulator.md.
"""

import csv
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import edfio
import numpy as np

from sleepfm_jax.atomic import replacing
from sleepfm_jax.input_pipeline.simulation import cinc2018
from sleepfm_jax.input_pipeline.simulation.cohort import night_name, night_subject
from sleepfm_jax.input_pipeline.simulation.hypnograms import (
    EPOCH,
    STAGE_NAMES,
    Stage,
    draw_hypnogram,
)
from sleepfm_jax.input_pipeline.simulation.montages import CINC2018, Channel, draw_montage
from sleepfm_jax.input_pipeline.simulation.signals import Body
from sleepfm_jax.input_pipeline.simulation.streams import stream
from sleepfm_jax.input_pipeline.simulation.subjects import Subject

EDF, CINC = "edf", "cinc2018"
FORMATS = (EDF, CINC)  # of files that a night can be written to

STAGING_COLUMNS = ("Start", "Stop", "StageName", "StageNumber")

# Nobody slept on this date: headers need one, and equal nights need equal bytes.
_START = datetime.datetime(2000, 1, 1, 22, 0, 0)
_DIGITAL = (-32768, 32767)


@dataclass(frozen=True)
class SimulatedNight:
    """One night of one subject.

    Attributes:
        name: Study ID and stem of the night's files.
        subject: who sleeps.
        stages: (epochs,) int8 hypnogram, one `Stage` every 30 s.
        channels: what the laboratory records.
        body: makes the signals; `body.events` holds the true apneas, arousals and movements.
        scored: first epoch whose stage is told, and one past the last.
        form: of `FORMATS`, to be written in.
    """

    name: str
    subject: Subject
    stages: np.ndarray
    channels: tuple[Channel, ...]
    body: Body
    scored: tuple[int, int]
    form: str = EDF

    def signals(self) -> Iterator[tuple[Channel, np.ndarray]]:
        """Each channel with its (seconds · rate,) samples in its unit, one at a time."""
        for channel in self.channels:
            yield channel, self.body.record(channel)


def simulate_night(
    seed: int, night: int, hours: float, montage: str | None = None, form: str = EDF
) -> SimulatedNight:
    """Draws one night; signals are made when asked for.

    Args:
        seed: of the cohort, ≥ 0.
        night: index in the cohort, ≥ 0; a night does not depend on how many others there are.
        hours: length, rounded to whole 30-s epochs.
        montage: name of one laboratory's montage (`simulation.montages.MONTAGES`); None draws one.
        form: of `FORMATS`. Of "cinc2018" channels and scored part are those of the challenge's
            records; subject, stages and body are the same.
    """
    subject = night_subject(seed, night)
    epochs = max(round(hours * 3600 / EPOCH), 1)
    stages = draw_hypnogram(stream(seed, night, "hypnogram"), subject, epochs)
    if form == CINC:
        channels = CINC2018
        scored = cinc2018.scored_part(stream(seed, night, "scored part"), epochs)
    else:
        channels = draw_montage(stream(seed, night, "montage"), montage)
        scored = 0, epochs
    name, body = night_name(seed, night), Body(seed, night, subject, stages)
    return SimulatedNight(name, subject, stages, channels, body, scored, form)


def night_files(name: str, form: str) -> tuple[Path, ...]:
    """Where a night's files stand in its cohort's folder; the one that is written last is last.

    Args:
        name: of the night.
        form: of `FORMATS`.
    """
    if form == CINC:
        return tuple(Path(CINC) / f"{name}{end}" for end in ("-arousal.mat", ".mat", ".hea"))
    return Path("stages") / f"{name}.csv", Path("edf") / f"{name}.edf"


def write_night(night: SimulatedNight, folder: Path) -> None:
    """Writes the files of `night_files`: where the last one stands, the night is complete.

    Args:
        night: to be written.
        folder: of the cohort.

    Raises:
        OSError: the folder cannot be written to.
    """
    if night.form == CINC:
        cinc2018.write_record(
            folder / CINC,
            night.name,
            dict(night.signals()),
            night.stages,
            night.scored,
            night.body.events,
        )
        return
    with replacing(folder / "stages" / f"{night.name}.csv") as path:
        write_stages(path, night.stages)
    with replacing(folder / "edf" / f"{night.name}.edf") as path:
        write_edf(path, night)


def write_stages(path: Path, stages: np.ndarray) -> None:
    """A hypnogram in the published staging format: 30-s rows in seconds (spec §4)."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(STAGING_COLUMNS)
        for epoch, stage in enumerate(stages):
            name = STAGE_NAMES[Stage(stage)]
            writer.writerow((epoch * EPOCH, (epoch + 1) * EPOCH, name, int(stage)))


def write_edf(path: Path, night: SimulatedNight) -> None:
    """The night as a plain EDF of one-second records, clipped at each channel's limits."""
    signals = [_edf_signal(channel, samples) for channel, samples in night.signals()]
    header = edfio.Recording(startdate=_START.date(), equipment_code="simulated")
    edfio.Edf(signals, recording=header, starttime=_START.time(), data_record_duration=1).write(
        path
    )


def _edf_signal(channel: Channel, samples: np.ndarray) -> edfio.EdfSignal:
    low, high = channel.limits
    scale = (_DIGITAL[1] - _DIGITAL[0]) / (high - low)
    digital = (samples - low) * scale + _DIGITAL[0]
    np.clip(np.rint(digital, out=digital), *_DIGITAL, out=digital)
    return edfio.EdfSignal.from_digital(
        digital.astype(np.int16),
        channel.rate,
        label=channel.label,
        physical_dimension=channel.unit,
        physical_range=channel.limits,
        digital_range=_DIGITAL,
    )
