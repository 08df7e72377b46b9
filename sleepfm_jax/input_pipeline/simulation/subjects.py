"""Simulated people: age, sex and the sleep traits that shape their signals and their diseases.

A trait is a published dependence on age and sex plus a latent z-score that is independent of both:
what a model can learn from the night about a disease, beyond demographics, is the latents.
"""

from dataclasses import dataclass

import numpy as np

LATENTS = (
    "apnea",
    "fragmentation",
    "slow_waves",
    "spindles",
    "heart_rate",
    "respiratory_rate",
    "limb_movements",
    "muscle_tone",
)


@dataclass(frozen=True)
class Subject:
    """One person.

    Attributes:
        age: years, 20 to 90.
        male: sex as recorded.
        latents: z-score by name in `LATENTS`, independent of age and sex.
        apnea_index: apneas and hypopneas per hour of sleep.
        central_share: share of the apneas that are central.
        desaturation: fall of SpO2 in % per 20 s without breath.
        snoring: loudness, 0 to 1.
        sleep_latency: minutes from lights off to sleep in a full night.
        awakenings: per hour of sleep.
        arousals: spontaneous, per hour of sleep.
        deep_sleep: factor on the share of N3.
        slow_wave: RMS amplitude of N3 slow waves over the frontal cortex, µV.
        spindle_density: per minute of N2.
        spindle_frequency: Hz.
        alpha: occipital RMS amplitude with closed eyes, µV.
        alpha_frequency: Hz.
        heart_rate: beats per minute in N2.
        sinus_arrhythmia: amplitude of the heart rate's respiratory swing in N3, beats per minute.
        respiratory_rate: breaths per minute in N2.
        limb_index: leg movements per hour of N1 and N2.
        chin_tone: RMS of the relaxed, waking chin, µV.
        atonia: chin tone of REM over that of wake.
    """

    age: int
    male: bool
    latents: dict[str, float]
    apnea_index: float
    central_share: float
    desaturation: float
    snoring: float
    sleep_latency: float
    awakenings: float
    arousals: float
    deep_sleep: float
    slow_wave: float
    spindle_density: float
    spindle_frequency: float
    alpha: float
    alpha_frequency: float
    heart_rate: float
    sinus_arrhythmia: float
    respiratory_rate: float
    limb_index: float
    chin_tone: float
    atonia: float


def draw_subject(generator: np.random.Generator) -> Subject:
    """A person from the simulated clinic: adults of 20 to 90, 55 % men.

    Directions of the age and sex effects follow Ohayon et al., Sleep 2004 (sleep architecture),
    Purcell et al., Nat Commun 2017 (spindles), Peppard et al., Am J Epidemiol 2013 (apnea).
    """
    age = int(np.clip(round(generator.normal(54, 15)), 20, 90))
    male = bool(generator.random() < 0.55)
    latents = {name: float(generator.standard_normal()) for name in LATENTS}
    years = (age - 54) / 15
    other = generator.standard_normal(8)  # traits that no outcome depends on
    sex = 1.0 if male else -1.0
    fragmentation, slow = latents["fragmentation"], latents["slow_waves"]
    return Subject(
        age=age,
        male=male,
        latents=latents,
        apnea_index=_bounded(9 * np.exp(0.25 * years + 0.2 * sex + latents["apnea"]), 0.3, 75),
        central_share=_bounded(0.1 * np.exp(0.8 * other[0]), 0, 0.6),
        desaturation=_bounded(3.5 * np.exp(0.3 * latents["apnea"] + 0.2 * other[1]), 1.5, 10),
        snoring=_bounded(0.4 + 0.12 * sex + 0.15 * latents["apnea"] + 0.2 * other[2], 0, 1),
        sleep_latency=_bounded(12 * np.exp(0.45 * fragmentation + 0.2 * other[3]), 4, 50),
        awakenings=_bounded(3 * np.exp(0.2 * years + 0.65 * fragmentation), 0.6, 14),
        arousals=_bounded(9 * np.exp(0.15 * years + 0.55 * fragmentation), 2, 40),
        deep_sleep=_bounded(np.exp(-0.2 * years + 0.4 * slow), 0.35, 2.2),
        slow_wave=_bounded(38 * np.exp(-0.18 * years + 0.25 * slow), 28, 80),
        spindle_density=_bounded(5 * np.exp(-0.15 * years + 0.3 * latents["spindles"]), 2, 11),
        spindle_frequency=_bounded(13.2 + 0.5 * other[4], 12, 14.5),
        alpha=_bounded(19 * np.exp(0.3 * other[5]), 10, 40),
        alpha_frequency=_bounded(9.8 - 0.3 * years + 0.6 * other[6], 8.3, 11.5),
        heart_rate=_bounded(62 - 2 * sex + 10 * latents["heart_rate"], 40, 98),
        sinus_arrhythmia=_bounded(4.5 * np.exp(-0.35 * years + 0.3 * other[7]), 1, 12),
        respiratory_rate=_bounded(15 + 2.6 * latents["respiratory_rate"], 9, 23),
        limb_index=_bounded(14 * np.exp(0.2 * years + 1.1 * latents["limb_movements"]), 0.5, 100),
        chin_tone=_bounded(18 * np.exp(0.2 * generator.standard_normal()), 9, 40),
        atonia=_bounded(0.14 * np.exp(0.35 * latents["muscle_tone"]), 0.06, 0.4),
    )


def _bounded(value: float, low: float, high: float) -> float:
    return float(np.clip(value, low, high))
