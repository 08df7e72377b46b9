"""Laboratories' montages: which channels they record, how they label and how fast they sample.

The labels are such as public cohorts carry them; no two laboratories write C3 against M2 alike.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Channel:
    """One signal of a recording.

    Attributes:
        label: as the laboratory writes it.
        source: what it records: an electrode ("C3", "E1"), "chin", "thorax", …
        rate: Hz.
        unit: physical dimension.
        limits: physical minimum and maximum of the amplifier; what exceeds them is clipped.
    """

    label: str
    source: str
    rate: int
    unit: str
    limits: tuple[float, float]


_UNITS: dict[str, tuple[str, tuple[float, float]]] = {
    "eeg": ("uV", (-500.0, 500.0)),
    "eog": ("uV", (-500.0, 500.0)),
    "chin": ("uV", (-500.0, 500.0)),
    "left leg": ("uV", (-1000.0, 1000.0)),
    "right leg": ("uV", (-1000.0, 1000.0)),
    "ecg": ("mV", (-5.0, 5.0)),
    "nasal pressure": ("cmH2O", (-10.0, 10.0)),
    "thermistor": ("mV", (-5.0, 5.0)),
    "thorax": ("mV", (-5.0, 5.0)),
    "abdomen": ("mV", (-5.0, 5.0)),
    "snore": ("mV", (-1.0, 1.0)),
    "oxygen": ("%", (0.0, 102.4)),
    "pulse rate": ("bpm", (0.0, 256.0)),
    "pulse wave": ("", (-10.0, 10.0)),
    "position": ("", (0.0, 8.0)),
    "light": ("", (0.0, 1.0)),
    "battery": ("V", (0.0, 5.0)),
}


def kind(source: str) -> str:
    """What a source is: "eeg" or "eog" for an electrode, otherwise the source itself."""
    if source in ("E1", "E2"):
        return "eog"
    return "eeg" if source[0] in "FCO" else source


def _montage(*rows: tuple[str, str, int]) -> tuple[Channel, ...]:
    return tuple(
        Channel(label, source, rate, *_UNITS[kind(source)]) for label, source, rate in rows
    )


MONTAGES: dict[str, tuple[Channel, ...]] = {
    "dashes": _montage(
        ("F3-M2", "F3", 256),
        ("F4-M1", "F4", 256),
        ("C3-M2", "C3", 256),
        ("C4-M1", "C4", 256),
        ("O1-M2", "O1", 256),
        ("O2-M1", "O2", 256),
        ("E1-M2", "E1", 256),
        ("E2-M2", "E2", 256),
        ("Chin1-Chin2", "chin", 256),
        ("ECG II", "ecg", 256),
        ("LLEG", "left leg", 128),
        ("RLEG", "right leg", 128),
        ("nasal_pres", "nasal pressure", 64),
        ("thermistor", "thermistor", 32),
        ("Effort THO", "thorax", 32),
        ("Effort ABD", "abdomen", 32),
        ("SaO2", "oxygen", 1),
        ("Position", "position", 1),
    ),
    "prefixes": _montage(
        ("EEG C3-A2", "C3", 200),
        ("EEG C4-A1", "C4", 200),
        ("EEG O1-A2", "O1", 200),
        ("EEG O2-A1", "O2", 200),
        ("EOG LOC-A2", "E1", 200),
        ("EOG ROC-A2", "E2", 200),
        ("EMG Chin", "chin", 200),
        ("ECG I", "ecg", 200),
        ("L Leg", "left leg", 200),
        ("R Leg", "right leg", 200),
        ("Nasal Therm", "thermistor", 32),
        ("RIP Thorax", "thorax", 32),
        ("RIP Abdomen", "abdomen", 32),
        ("SpO2", "oxygen", 1),
        ("Pulse Rate", "pulse rate", 1),
        ("Light", "light", 1),
    ),
    "colons": _montage(
        ("F3:M2", "F3", 200),
        ("C3:M2", "C3", 200),
        ("C4:M1", "C4", 200),
        ("O1:M2", "O1", 200),
        ("E1:M2", "E1", 200),
        ("E2:M1", "E2", 200),
        ("Chin:Chin2", "chin", 200),
        ("ECG", "ecg", 200),
        ("Leg/L", "left leg", 200),
        ("Leg/R", "right leg", 200),
        ("Nasal", "nasal pressure", 100),
        ("Thorax", "thorax", 20),
        ("Abdomen", "abdomen", 20),
        ("Snore", "snore", 200),
        ("SpO2 Masimo", "oxygen", 4),
        ("PPG Masimo", "pulse wave", 64),
        ("Battery", "battery", 1),
    ),
    "underscores": _montage(
        ("EEG_C3-A2", "C3", 256),
        ("EEG_C4-A1", "C4", 256),
        ("EEG_O2-A1", "O2", 256),
        ("EOG_LOC-A2", "E1", 256),
        ("EOG_ROC-A1", "E2", 256),
        ("EMG_Chin", "chin", 256),
        ("ECG_II", "ecg", 256),
        ("Leg_L", "left leg", 128),
        ("Leg_R", "right leg", 128),
        ("CannulaFlow", "nasal pressure", 64),
        ("Effort_THO", "thorax", 64),
        ("Effort_ABD", "abdomen", 64),
        ("SaO2", "oxygen", 1),
        ("pulse", "pulse rate", 1),
    ),
    "home": _montage(
        ("EEG(sec)", "C3", 128),
        ("EEG", "C4", 128),
        ("EOG(L)", "E1", 128),
        ("EOG(R)", "E2", 128),
        ("EMG", "chin", 128),
        ("ECG", "ecg", 256),
        ("LLEG", "left leg", 128),
        ("THOR RES", "thorax", 8),
        ("ABDO RES", "abdomen", 8),
        ("NEW AIR", "thermistor", 8),
        ("SaO2", "oxygen", 1),
        ("H.R.", "pulse rate", 1),
        ("POSITION", "position", 1),
        ("LIGHT", "light", 1),
    ),
    "compact": _montage(
        ("F4M1", "F4", 256),
        ("C4M1", "C4", 256),
        ("O2M1", "O2", 256),
        ("C3M2", "C3", 256),
        ("E1 (LEOG)", "E1", 256),
        ("E2 (REOG)", "E2", 256),
        ("ChinEMG", "chin", 256),
        ("EKG", "ecg", 256),
        ("LLEGEMG", "left leg", 256),
        ("RLEGEMG", "right leg", 256),
        ("NasalP", "nasal pressure", 32),
        ("Therm", "thermistor", 32),
        ("Chest", "thorax", 32),
        ("Abdo", "abdomen", 32),
        ("SpO2", "oxygen", 1),
        ("Pleth", "pulse wave", 128),
    ),
}

# The records of the PhysioNet/CinC Challenge 2018: every channel in every record, in this order.
CINC2018 = _montage(
    ("F3-M2", "F3", 200),
    ("F4-M1", "F4", 200),
    ("C3-M2", "C3", 200),
    ("C4-M1", "C4", 200),
    ("O1-M2", "O1", 200),
    ("O2-M1", "O2", 200),
    ("E1-M2", "E1", 200),
    ("Chin1-Chin2", "chin", 200),
    ("ABD", "abdomen", 200),
    ("CHEST", "thorax", 200),
    ("AIRFLOW", "thermistor", 200),
    ("SaO2", "oxygen", 200),
    ("ECG", "ecg", 200),
)

# A channel may fail where another sees much the same, so that no modality is lost.
_STAND_IN = {
    "F3": "C3",
    "F4": "C4",
    "C4": "C3",
    "O1": "C3",
    "right leg": "left leg",
    "thermistor": "nasal pressure",
    "abdomen": "thorax",
    "pulse rate": "ecg",
}
_FAILURE = 0.08


def draw_montage(generator: np.random.Generator, name: str | None) -> tuple[Channel, ...]:
    """One night's channels.

    Args:
        generator: source of the random numbers.
        name: of `MONTAGES`; None draws one.
    """
    drawn = str(generator.choice(sorted(MONTAGES)))
    channels = MONTAGES[name or drawn]
    sources = {channel.source for channel in channels}
    fails = generator.random(len(channels)) < _FAILURE
    return tuple(
        channel
        for channel, failed in zip(channels, fails, strict=True)
        if not (failed and _STAND_IN.get(channel.source) in sources)
    )
