"""A night's signals, channel by channel: each channel's source asks the organ that it records."""

from functools import cached_property

import numpy as np

from sleepfm_jax.input_pipeline.simulation import brain, breathing, eyes, heart, muscles
from sleepfm_jax.input_pipeline.simulation.artefacts import PICKUP, artefacts
from sleepfm_jax.input_pipeline.simulation.events import LEFT, RIGHT, NightEvents, draw_events
from sleepfm_jax.input_pipeline.simulation.hypnograms import EPOCH
from sleepfm_jax.input_pipeline.simulation.montages import Channel, kind
from sleepfm_jax.input_pipeline.simulation.streams import stream
from sleepfm_jax.input_pipeline.simulation.subjects import Subject
from sleepfm_jax.input_pipeline.simulation.timeline import Timeline, draw_timeline

_REGION = {"F": "frontal", "C": "central", "O": "occipital"}


class Body:
    """One night of one subject; organs are drawn when a channel first asks for them.

    Args:
        seed: the cohort's.
        night: index of the night.
        subject: who sleeps.
        stages: (epochs,) hypnogram.
    """

    def __init__(self, seed: int, night: int, subject: Subject, stages: np.ndarray) -> None:
        self._seed, self._night = seed, night
        self.subject, self.stages = subject, stages
        self.seconds = len(stages) * EPOCH

    def _stream(self, part: str) -> np.random.Generator:
        return stream(self._seed, self._night, part)

    @cached_property
    def events(self) -> NightEvents:
        """Apneas, arousals, leg and body movements."""
        return draw_events(self._stream("events"), self.subject, self.stages)

    @cached_property
    def timeline(self) -> Timeline:
        """The slow state that all organs share."""
        return draw_timeline(self._stream("timeline"), self.stages, self.events)

    @cached_property
    def breathing(self) -> breathing.Breathing:
        """Rate, depth and obstruction of the breath; oxygen."""
        return breathing.draw_breathing(
            self._stream("breathing"), self.subject, self.timeline, self.events
        )

    @cached_property
    def heart(self) -> heart.Heart:
        """Heart rate and beats."""
        return heart.draw_heart(self._stream("heart"), self.subject, self.timeline, self.breathing)

    @cached_property
    def _beat_waves(self) -> dict[int, np.ndarray]:
        return {}

    def _beats(self, rate: int) -> np.ndarray:
        """(seconds · rate,) mV, the heart's field."""
        if rate not in self._beat_waves:
            self._beat_waves[rate] = heart.beat_wave(
                self.heart, self.breathing, self.seconds * rate, rate
            )
        return self._beat_waves[rate]

    def _pulse(self, generator: np.random.Generator, rate: int) -> np.ndarray:
        return heart.pulse_wave(generator, self.heart, self.breathing, self.seconds, rate)

    @cached_property
    def _brains(self) -> dict[int, tuple[brain.Brain, np.ndarray]]:
        return {}

    def _brain(self, rate: int) -> tuple[brain.Brain, np.ndarray]:
        """Cortex and gaze at a rate."""
        if rate not in self._brains:
            cortex = brain.draw_brain(
                self._stream("brain"), self.subject, self.timeline, self.events, rate
            )
            self._brains[rate] = cortex, eyes.draw_gaze(self._stream("eyes"), self.timeline, rate)
        return self._brains[rate]

    def record(self, channel: Channel) -> np.ndarray:
        """(seconds · rate,) what one channel records, in its unit, before clipping."""
        generator = self._stream(f"channel {channel.source}")
        trace = self._trace(channel, generator)
        pickup = PICKUP.get(kind(channel.source))
        if pickup is None:
            return trace
        beats, breath = self._beats(channel.rate), self.breathing.wave(channel.rate)
        mains = int(self._stream("mains").choice([50, 60]))
        return trace + artefacts(generator, pickup, beats, breath, mains, channel.rate)

    def _trace(self, channel: Channel, generator: np.random.Generator) -> np.ndarray:
        source, rate, line = channel.source, channel.rate, self.timeline
        match kind(source):
            case "eeg":
                cortex, _ = self._brain(rate)
                region = _REGION[source[0]]
                return brain.electrode(generator, cortex, line, region)
            case "eog":
                cortex, gaze = self._brain(rate)
                return eyes.eog(generator, gaze, cortex, line, 1 if source == "E1" else -1)
            case "chin":
                return muscles.chin(generator, self.subject, line, self.breathing, rate)
            case "left leg" | "right leg":
                side = LEFT if source == "left leg" else RIGHT
                return muscles.leg(generator, line, self.events, rate, side)
            case "ecg":
                return heart.ecg(generator, self._beats(rate), line, rate)
            case "nasal pressure":
                return breathing.nasal_pressure(generator, self.breathing, rate)
            case "thermistor":
                return breathing.thermistor(generator, self.breathing, rate)
            case "thorax" | "abdomen":
                belt = breathing.effort_belt(
                    generator, self.breathing, line, rate, abdomen=source == "abdomen"
                )
                return belt + 0.03 * self._pulse(generator, rate)
            case "snore":
                return breathing.snore_sensor(generator, self.breathing, rate)
            case "oxygen":
                return np.repeat(breathing.oximeter(self.breathing), rate)
            case "pulse wave":
                return self._pulse(generator, rate)
            case "pulse rate":
                return np.repeat(heart.pulse_rate(self.heart), rate)
            case "position":
                return self._position(generator, rate)
            case "light":
                return np.repeat(self._lights_on(), rate)
            case "battery":
                return np.linspace(4.1, 3.6, self.seconds * rate)
        raise ValueError(f"no organ makes {source!r}")

    def _position(self, generator: np.random.Generator, rate: int) -> np.ndarray:
        """(samples,) 1 to 4, changing with some body movements."""
        turns = self.events.body_movements.onset[self.events.body_movements.size > 0.7]
        held = np.searchsorted(turns, np.arange(self.seconds * rate) / rate)
        return generator.integers(1, 5, len(turns) + 1)[held].astype(float)

    def _lights_on(self) -> np.ndarray:
        """(seconds,) 1 in the first minute, then 0."""
        return (np.arange(self.seconds) < 60).astype(float)
