"""The hypnogram: a stage for each stretch of a night, on the steps and epochs of the model."""

import dataclasses

import numpy as np

STAGES = ("Wake", "N1", "N2", "N3", "REM")  # by StageNumber, 0 to 4
UNSCORED = -1
STEP = 5.0  # seconds, a patch of the model
EPOCH = 30.0  # seconds, what people score
STEPS_PER_EPOCH = 6


@dataclasses.dataclass(frozen=True)
class Hypnogram:
    """Scored stretches of a night, in order; what lies between them is unscored.

    Attributes:
        starts: (K,) seconds from the recording's start.
        stops: (K,) seconds, each after its start and not after the next start.
        stages: (K,) int8, 0 Wake, 1 N1, 2 N2, 3 N3, 4 REM, −1 unscored.
    """

    starts: np.ndarray
    stops: np.ndarray
    stages: np.ndarray

    @classmethod
    def of_epochs(cls, stages: np.ndarray, epoch: float = EPOCH) -> "Hypnogram":
        """A hypnogram of epochs that follow each other from the recording's start.

        Args:
            stages: (K,) stages, −1 unscored.
            epoch: seconds each lasts.
        """
        starts = np.arange(len(stages)) * epoch
        return cls(starts, starts + epoch, np.asarray(stages, np.int8))

    def at(self, times: np.ndarray) -> np.ndarray:
        """The stage at each time.

        Args:
            times: (T,) seconds from the recording's start.

        Returns:
            (T,) int8; −1 where nothing is scored.
        """
        if not len(self.starts):
            return np.full(np.shape(times), UNSCORED, np.int8)
        row = np.searchsorted(self.starts, times, side="right") - 1
        inside = (row >= 0) & (times < self.stops[np.maximum(row, 0)])
        return np.where(inside, self.stages[np.maximum(row, 0)], UNSCORED).astype(np.int8)

    def steps(self, count: int) -> np.ndarray:
        """The stage of each of the model's 5-second steps, by the step's middle.

        Args:
            count: T, steps from the recording's start; what is scored beyond is not used.

        Returns:
            (T,) int8; −1 where nothing is scored.
        """
        return self.at((np.arange(count) + 0.5) * STEP)


def epochs(probabilities: np.ndarray) -> np.ndarray:
    """Gathers 5-second steps to 30-second epochs: the mean of the six.

    Args:
        probabilities: (T, C) of each class at each step; rows with NaN are not known.

    Returns:
        (ceil(T / 6), C) means over the known steps of each epoch, the last one perhaps of fewer
        than six; NaN where no step is known.
    """
    count = -(-len(probabilities) // STEPS_PER_EPOCH)
    steps = np.full((count * STEPS_PER_EPOCH, probabilities.shape[1]), np.nan)
    steps[: len(probabilities)] = probabilities
    whole = steps.reshape(count, STEPS_PER_EPOCH, -1)  # (K, 6, C)
    known = ~np.isnan(whole).any(axis=2, keepdims=True)  # (K, 6, 1)
    total = np.where(known, whole, 0.0).sum(axis=1)  # (K, C)
    divisor = known.sum(axis=1)  # (K, 1)
    return np.where(divisor, total / np.maximum(divisor, 1), np.nan)


def most_likely(probabilities: np.ndarray) -> np.ndarray:
    """The stage of each row of probabilities.

    Args:
        probabilities: (K, 5) by stage.

    Returns:
        (K,) int8; −1 where a row is not known (NaN).
    """
    unknown = np.isnan(probabilities).any(axis=1)
    best = np.where(unknown[:, None], 0.0, probabilities).argmax(axis=1)
    return np.where(unknown, UNSCORED, best).astype(np.int8)
