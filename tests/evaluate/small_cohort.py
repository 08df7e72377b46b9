"""Follow-up of a small cohort with ties of every kind: whole days, few scores, unknown times."""

import numpy as np


def follow_up(
    seed: int, N: int, L: int, share: float = 0.4, days: int = 30, levels: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log hazards (N, L) of a few levels, times (N, L) in few days with some −1, events (N, L)."""
    draw = np.random.default_rng(seed)
    truth = draw.standard_normal((N, L))
    score = np.round((truth + draw.standard_normal((N, L))) * levels / 4) / levels
    onset = draw.exponential(np.exp(-truth)) * days / max(share, 1e-3)
    end = draw.uniform(0.2, 1, (N, L)) * days
    event = onset <= end
    time = np.ceil(np.minimum(onset, end))
    unknown = draw.random((N, L)) < 0.1
    return score, np.where(unknown, -1, time), event & ~unknown
