"""What a model of disease risk is told of a person, and what its numbers are called."""

import hashlib
import logging
from typing import Any

import numpy as np

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate import survival
from sleepfm_jax.input_pipeline.subject_tables import KEY
from sleepfm_jax.jobs.people import People
from sleepfm_jax.jobs.sources import Source
from sleepfm_jax.saved_model import Outcomes, SavedModel

YEAR = 365.25  # days
MONTH = YEAR / 12
TIMES, CUMULATIVE = "baseline.times", "baseline.cumulative"  # among a model's weights

log = logging.getLogger(__name__)


class RiskEstimates:
    """What a model of disease risk is told of a person, and what its numbers are called.

    Args:
        saved: the model.
        people: whose nights they are.
        years: by which absolute risks are told.

    Raises:
        InputError: the model needs ages and sexes and there are none.
    """

    def __init__(self, saved: SavedModel, people: People, years: float) -> None:
        config: Any = saved.config
        unnamed = tuple((str(number), "") for number in range(config.labels))
        outcomes = saved.outcomes or Outcomes(unnamed)
        self._labels, self._encoding = outcomes.labels, outcomes.encoding
        self._needs = bool(config.demographics)
        self._people, self._years = people, years
        self._baseline = _baseline(saved, years)
        if self._needs and not people.known:
            raise InputError(
                "this model takes age and sex beside the night: give --age and --sex, or a table "
                "with --demographics"
            )

    def demographics(self, night: str) -> np.ndarray | None:
        """(2,) age and sex as the model takes them; None if it takes none.

        Raises:
            InputError: they are not known, or make no sense.
        """
        if not self._needs:
            return None
        person = self._people.of(night)
        return self._encoding.encode([person.age], [person.sex])[0]

    def trace(self, source: Source) -> dict[str, str]:
        """A digest of what the model is told of the person, which changes whenever that does."""
        told = self.demographics(source.name)
        digest = hashlib.sha256(b"" if told is None else told.tobytes()).hexdigest()
        return {"demographics": digest}

    def rows(self, night: str, log_hazard: np.ndarray) -> list[dict[str, object]]:
        """The table of a night, the highest log hazard first.

        Args:
            night: its name.
            log_hazard: (L,).

        Raises:
            InputError: a log hazard is no number.
        """
        if not np.isfinite(log_hazard).all():
            raise InputError(
                f"the model gives {night} hazards that are no numbers: check the night"
            )
        order = np.argsort(-log_hazard, kind="stable")
        chance = self._chance(log_hazard)
        name = self._people.of(night).name
        return [
            {
                KEY: name,
                "phecode": self._labels[label][0],
                "phenotype": self._labels[label][1],
                "log_hazard": float(log_hazard[label]),
                "rank": rank,
                **({} if chance is None else {self._column: float(chance[label])}),
            }
            for rank, label in enumerate(order, start=1)
        ]

    @property
    def _column(self) -> str:
        return f"risk_{self._years:g}_years"

    def _chance(self, log_hazard: np.ndarray) -> np.ndarray | None:
        """(L,) of falling ill by then; None where the model cannot tell."""
        if self._baseline is None:
            return None
        return survival.risk(log_hazard[None], *self._baseline, self._years * YEAR)[0]


def _baseline(saved: SavedModel, years: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Times (K,) and hazards (K, L) of a model; None if it has none that go so far."""
    times, cumulative = saved.weights.get(TIMES), saved.weights.get(CUMULATIVE)
    if times is None or cumulative is None or not len(times):
        return None
    if years * YEAR > times[-1] + MONTH:
        log.warning(
            "the model's people were followed for %.1f years, which says nothing of %g: absolute "
            "risks are left out; give fewer --years",
            times[-1] / YEAR,
            years,
        )
        return None
    return times, cumulative
