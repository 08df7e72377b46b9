"""How fast a loop goes, and how long it waits for data."""

import time


class Clock:
    """Samples (rows of batches) a second, and the share of time that the loop waited for data.

    Attributes:
        samples: taken since the last reading; the loop counts them.
    """

    def __init__(self) -> None:
        self._reset()

    def waiting(self) -> "Clock":
        """A block in which the loop waits for data."""
        return self

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._waited += time.perf_counter() - self._since

    def read(self) -> dict[str, float]:
        """What was measured since the last reading."""
        passed = time.perf_counter() - self._start
        speed = {
            "speed/samples_per_second": self.samples / passed,
            "speed/data_wait": self._waited / passed,
        }
        self._reset()
        return speed

    def _reset(self) -> None:
        self._start = time.perf_counter()
        self._waited = 0.0
        self.samples = 0
