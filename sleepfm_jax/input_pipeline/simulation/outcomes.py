"""Simulated diseases: hazards from demographics and sleep traits, times to event, censoring.

Phecodes and names are real, the coefficients are invented: half of the diseases depend on sleep
and demographics, half on demographics alone, so that both gain and absence of gain can be tested.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize

from sleepfm_jax.input_pipeline.simulation.subjects import Subject

SLEEP_EFFECT = 1.7  # standard deviation of the log hazard that sleep brings
FOLLOW_UP = (3.0, 15.0)  # years from the night to the end of the records
DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Disease:
    """How a disease depends on the subject.

    Attributes:
        phecode: column of the outcome tables.
        phenotype: name in words.
        share: of all subjects who are diagnosed within their follow-up.
        age: log hazard per 15 years.
        male: log hazard of men over women.
        sleep: relative weights of the latents, scaled to a root sum of squares of `SLEEP_EFFECT`;
            empty for a disease that depends on age and sex alone.
    """

    phecode: str
    phenotype: str
    share: float
    age: float
    male: float
    sleep: dict[str, float]

    def demographic_log_hazard(self, subject: Subject) -> float:
        """What age and sex bring: the best that a model without the night can know."""
        return self.age * (subject.age - 54) / 15 + self.male * (subject.male - 0.5)

    def log_hazard(self, subject: Subject) -> float:
        """Relative log hazard from age, sex and sleep: the best any model can know."""
        norm = np.sqrt(sum(weight**2 for weight in self.sleep.values()))
        scale = SLEEP_EFFECT / norm if self.sleep else 0.0
        sleep = sum(weight * subject.latents[name] for name, weight in self.sleep.items())
        return self.demographic_log_hazard(subject) + scale * sleep


def _row(
    phecode: str, phenotype: str, share: float, age: float, male: float, **sleep: float
) -> Disease:
    return Disease(phecode, phenotype, share, age, male, sleep)


DISEASES = (
    # phecode, phenotype, share of events; log hazard of 15 years, of men; weights of sleep traits
    _row("250.2", "Type 2 diabetes", 0.34, 0.3, 0.3, apnea=0.8, slow_waves=-0.6),
    _row("278.1", "Obesity", 0.36, 0.1, 0.1, apnea=1.0),
    _row("280.1", "Iron deficiency anemias", 0.24, 0.3, -0.6, limb_movements=1.0),
    _row("290.1", "Dementias", 0.22, 0.6, 0.0, slow_waves=-1.0, fragmentation=0.7),
    _row("292.2", "Mild cognitive impairment", 0.24, 0.5, 0.1, slow_waves=-1.0),
    _row("296.22", "Major depressive disorder", 0.3, -0.2, -0.5, fragmentation=1.0),
    _row("300.1", "Anxiety disorder", 0.34, -0.3, -0.5, heart_rate=1.0, fragmentation=0.7),
    _row("327.71", "Restless legs syndrome", 0.3, 0.3, -0.4, limb_movements=1.0),
    _row("332", "Parkinson's disease", 0.14, 0.6, 0.5, limb_movements=0.8, muscle_tone=0.8),
    _row("338.2", "Chronic pain", 0.34, 0.2, -0.3, fragmentation=1.0, limb_movements=0.5),
    _row("401.1", "Essential hypertension", 0.36, 0.5, 0.2, apnea=1.0, heart_rate=0.5),
    _row("411.2", "Myocardial infarction", 0.18, 0.5, 0.6, heart_rate=1.0, apnea=0.6),
    _row("411.4", "Coronary atherosclerosis", 0.3, 0.6, 0.5, apnea=0.8, heart_rate=0.8),
    _row(
        "415.2", "Chronic pulmonary heart disease", 0.14, 0.4, 0.0, apnea=1.0, respiratory_rate=0.6
    ),
    _row("427.21", "Atrial fibrillation", 0.24, 0.6, 0.4, apnea=1.0),
    _row("427.5", "Arrhythmia (cardiac) NOS", 0.3, 0.4, 0.1, heart_rate=1.0),
    _row("428.1", "Congestive heart failure (CHF) NOS", 0.24, 0.6, 0.3, apnea=0.8, heart_rate=0.8),
    _row("433.3", "Cerebral ischemia", 0.18, 0.6, 0.1, apnea=1.0, fragmentation=0.4),
    _row("480", "Pneumonia", 0.26, 0.4, 0.2, respiratory_rate=1.0),
    _row("496", "Chronic airway obstruction", 0.26, 0.4, 0.2, respiratory_rate=1.0, heart_rate=0.5),
    _row("509.1", "Respiratory failure", 0.18, 0.4, 0.2, respiratory_rate=0.8, apnea=0.8),
    _row("571.5", "Other chronic nonalcoholic liver disease", 0.24, 0.1, 0.1, apnea=1.0),
    _row("585.3", "Chronic renal failure [CKD]", 0.24, 0.5, 0.2, limb_movements=0.8, apnea=0.6),
    _row("798.1", "Chronic fatigue syndrome", 0.24, -0.1, -0.4, fragmentation=1.0),
    _row("153.2", "Colon cancer", 0.14, 0.8, 0.2),
    _row("172.2", "Other non-epithelial cancer of skin", 0.3, 0.9, 0.3),
    _row("174.1", "Breast cancer [female]", 0.14, 0.4, -2.5),
    _row("185", "Cancer of prostate", 0.18, 0.8, 2.5),
    _row("244.4", "Hypothyroidism NOS", 0.24, 0.5, -0.9),
    _row("274.1", "Gout", 0.24, 0.6, 1.0),
    _row("340", "Migraine", 0.24, -0.7, -1.0),
    _row("362.2", "Degeneration of macula", 0.24, 1.1, 0.0),
    _row("365", "Glaucoma", 0.26, 0.8, 0.1),
    _row("366", "Cataract", 0.36, 1.1, -0.1),
    _row("389.1", "Sensorineural hearing loss", 0.36, 1.0, 0.3),
    _row("442.1", "Aortic aneurysm", 0.14, 1.0, 0.9),
    _row("454.1", "Varicose veins of lower extremity", 0.24, 0.5, -0.7),
    _row("495", "Asthma", 0.24, -0.6, -0.6),
    _row("550.1", "Inguinal hernia", 0.18, 0.6, 1.5),
    _row("562.1", "Diverticulosis and diverticulitis", 0.36, 0.8, 0.0),
    _row("574.1", "Cholelithiasis", 0.24, 0.5, -0.7),
    _row("591", "Urinary tract infection", 0.34, 0.4, -1.1),
    _row("593", "Hematuria", 0.24, 0.7, 0.3),
    _row("594.1", "Calculus of kidney", 0.24, 0.3, 0.8),
    _row("600", "Hyperplasia of prostate", 0.3, 0.9, 2.5),
    _row("702.1", "Actinic keratosis", 0.34, 1.1, 0.4),
    _row("706.1", "Acne", 0.18, -1.1, 0.0),
    _row("743.11", "Osteoporosis NOS", 0.24, 1.0, -1.1),
)


def draw_outcomes(
    generator: np.random.Generator, subject: Subject
) -> tuple[np.ndarray, np.ndarray]:
    """Exponential times to each disease, cut at the end of the subject's records.

    Returns:
        is_event (L,) bool and time_to_event (L,) whole days ≥ 1, in the order of `DISEASES`.
    """
    hazards = np.array(
        [baseline_hazard(d.phecode) * np.exp(d.log_hazard(subject)) for d in DISEASES]
    )
    years = generator.standard_exponential(len(DISEASES)) / hazards  # (L,)
    end = generator.uniform(*FOLLOW_UP)
    days = np.ceil(np.minimum(years, end) * DAYS_A_YEAR).astype(int)
    return years <= end, days


@cache
def baseline_hazard(phecode: str) -> float:
    """Events per year at log hazard 0 that give the disease its share of events.

    It depends on the simulated clinic as a whole, never on the cohort that was drawn from it.
    """
    disease = next(d for d in DISEASES if d.phecode == phecode)
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    sleep = SLEEP_EFFECT if disease.sleep else 0.0
    spread = np.hypot(disease.age, sleep) * nodes
    log_hazard = np.add.outer(disease.male * np.array([-0.5, 0.5]), spread)  # (sex, node)
    chance = np.multiply.outer([0.45, 0.55], weights / weights.sum())
    follow_up = np.linspace(*FOLLOW_UP, 25)

    def excess(log_baseline: float) -> float:
        hazard = np.exp(log_baseline + log_hazard)
        diagnosed = 1 - np.exp(-np.multiply.outer(hazard, follow_up)).mean(-1)
        return float((chance * diagnosed).sum()) - disease.share

    return float(np.exp(optimize.brentq(excess, -20, 5)))
