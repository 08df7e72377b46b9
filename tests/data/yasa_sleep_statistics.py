"""Writes yasa_sleep_statistics.json: hypnograms and what YASA says of them.

YASA is too heavy for the tests. In an environment of its own (`pip install yasa==0.8.1`):

    python tests/data/yasa_sleep_statistics.py
"""

import json
from pathlib import Path

import numpy as np

NAMES = ("WAKE", "N1", "N2", "N3", "REM")


def hypnogram(seed: int) -> list[int]:
    """Stages of 30-s epochs in short stays, some of them without REM or N3."""
    draw = np.random.default_rng(seed)
    allowed = ([0, 1, 2, 3, 4], [0, 1, 2, 3], [0, 1, 2, 4], [0, 2, 4], [4, 0, 1, 2, 3])[seed % 5]
    stays = [(0, int(draw.integers(1, 40)))] if seed % 3 else []
    stays += [(int(draw.choice(allowed)), int(draw.integers(1, 60))) for _ in range(25)]
    return [stage for stage, count in stays for _ in range(count)]


def main() -> None:
    import yasa

    nights = []
    for seed in range(10):
        stages = hypnogram(seed)
        scored = yasa.Hypnogram([NAMES[stage] for stage in stages], freq="30s")
        statistics = {name: float(value) for name, value in scored.sleep_statistics().items()}
        nights.append({"stages": "".join(map(str, stages)), "statistics": statistics})
    content = {"yasa": yasa.__version__, "nights": nights}
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
