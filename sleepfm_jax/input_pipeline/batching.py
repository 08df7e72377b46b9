"""How samples become batches: the settings, checked."""

import dataclasses

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.augment import Augmentation
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.order import APART, GROUPED, MIXED

MOST_SLOTS = 24


@dataclasses.dataclass(frozen=True)
class SampleBatching:
    """How samples of nights, windows or clips, become batches.

    Attributes:
        batch_size: rows of a batch over all processes.
        seed: of the order and of what training changes about samples.
        nights: "mixed": samples are shuffled; "grouped": a batch is made of runs of samples of one
            night, which are hard negatives; "apart": no two samples of a batch are of one night.
        run: samples of one night that follow another in "grouped"; divides the batch size.
        skip_damaged: leave the row of a damaged sample empty, with a warning, instead of ending.
        threads: that read samples, in each process that makes batches; 0: one a core, at most 16.
        prefetch: batches made ahead, in each process that makes some.
        workers: processes that make batches; 0: the calling process does, in threads.

    Raises:
        InputError: a value makes no sense.
    """

    batch_size: int = 128
    seed: int = 0
    nights: str = MIXED
    run: int = 4
    skip_damaged: bool = False
    threads: int = 0
    prefetch: int = 2
    workers: int = 0

    def __post_init__(self) -> None:
        self._check(
            ("batch_size", 1, 1 << 20),
            ("seed", 0, (1 << 63) - 1),
            ("run", 2, 1 << 20),
            ("threads", 0, 256),
            ("prefetch", 1, 64),
            ("workers", 0, 256),
        )
        if self.nights not in (MIXED, GROUPED, APART):
            raise InputError(f"nights is {self.nights!r}: give {MIXED!r}, {GROUPED!r} or {APART!r}")
        if self.nights == GROUPED and self.batch_size % self.run:
            raise InputError(
                f"a batch of {self.batch_size} is not made of runs of {self.run} samples: give a "
                "run that divides the batch size"
            )

    def _check(self, *ranges: tuple[str, float, float]) -> None:
        for name, low, high in ranges:
            value = getattr(self, name)
            if not low <= value <= high:  # NaN is no number between
                raise InputError(f"{name} is {value}: give {low} to {high}")


@dataclasses.dataclass(frozen=True)
class Batching(SampleBatching):
    """How windows become batches.

    Attributes:
        slots: channels of a row, 4 to 24; a window with more gives some of them.
        channel_dropout: probability that a channel is left out; one of each modality stays.
        modality_dropout: probability that a modality is left out; two always stay.
        amplitude_jitter: standard deviation of the logarithm of each channel's gain.

    Raises:
        InputError: a value makes no sense.
    """

    slots: int = 16
    channel_dropout: float = 0.0
    modality_dropout: float = 0.0
    amplitude_jitter: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(
            ("slots", len(Modality), MOST_SLOTS),
            ("channel_dropout", 0, 1),
            ("modality_dropout", 0, 1),
            ("amplitude_jitter", 0, 1),
        )

    @property
    def augmentation(self) -> Augmentation:
        """What training changes about windows."""
        return Augmentation(self.channel_dropout, self.modality_dropout, self.amplitude_jitter)
