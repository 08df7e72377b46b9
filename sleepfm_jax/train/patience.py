"""How long a run waits for a better validation: then the rate falls, or the run ends.

Counted on the host in plain numbers, which go into each checkpoint with the data's position.
"""

import dataclasses
import math
from typing import Any

THRESHOLD = 1e-4  # a loss must fall by this share to count as better, as in PyTorch's schedule


@dataclasses.dataclass
class Patience:
    """Counts validations in a row that were not better than the best.

    Attributes:
        limit: so many are borne; negative: any number.
        threshold: share of the best loss by which a better one is smaller.
        best: validation loss so far.
        waited: validations since the best, or since the patience last ran out.
    """

    limit: int
    threshold: float = 0.0
    best: float = math.inf
    waited: int = 0

    def runs_out(self, loss: float) -> bool:
        """Takes one more validation loss; True if it is one too many, and the count starts anew."""
        if loss < self.best - self.threshold * abs(self.best) or self.best == math.inf > loss:
            self.best, self.waited = loss, 0
            return False
        self.waited += 1
        if 0 <= self.limit < self.waited:
            self.waited = 0
            return True
        return False

    def get_state(self) -> dict[str, Any]:
        """As JSON values."""
        return {"best": self.best if math.isfinite(self.best) else None, "waited": self.waited}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a state."""
        self.best = math.inf if state["best"] is None else state["best"]
        self.waited = state["waited"]
