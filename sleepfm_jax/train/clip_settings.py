"""The configuration of a run on clips: the ICML 2024 towers, or their supervised baseline."""

import dataclasses

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clips
from sleepfm_jax.input_pipeline.batching import SampleBatching
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.train.icml2024 import EVERYTHING, channels_of
from sleepfm_jax.train.optimizers import OptimizerSettings
from sleepfm_jax.train.settings import Run, check_contrastive, check_weights


@dataclasses.dataclass(frozen=True)
class ClipDataSettings:
    """Where clips come from.

    Attributes:
        path: a store that `sleepfm-jax clip` made.
        train: split to train on.
        validation: split of held-out nights; empty: none.
    """

    path: str = ""
    train: str = "pretrain"
    validation: str = "validation"


@dataclasses.dataclass(frozen=True)
class ClipRun(Run):
    """What both runs on clips share; the defaults are published (spec §5).

    Attributes:
        epochs: passes over the clips.
        optimizer: and its schedule.
        data: where clips come from.
        batches: how they are put together; the run's seed goes before their own.
    """

    epochs: int = 20
    optimizer: OptimizerSettings = dataclasses.field(
        default_factory=lambda: OptimizerSettings(decay_epochs=5)
    )
    data: ClipDataSettings = dataclasses.field(default_factory=ClipDataSettings)
    batches: SampleBatching = dataclasses.field(
        default_factory=lambda: SampleBatching(batch_size=32)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_chunks(self.batches.batch_size)


@dataclasses.dataclass(frozen=True)
class Towers(ClipRun):
    """A pretraining run of the three towers.

    Attributes:
        loss: "leave_one_out" or "pairwise".
        temperature: initial t.
        model: size.
    """

    loss: str = "leave_one_out"
    temperature: float = 0.0
    model: EffNetConfig = dataclasses.field(default_factory=EffNetConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_contrastive(self.loss, self.temperature)
        if self.model.channels != dict(clips.COUNTS):
            raise InputError(
                f"--config.model takes {self.model.channels} channels, clips have "
                f"{dict(clips.COUNTS)}: leave these values as they are"
            )


@dataclasses.dataclass(frozen=True)
class StageTower(ClipRun):
    """A run of the supervised baseline.

    Attributes:
        modality: "respiratory", "sleep_stages", "ekg", or "all".
        weights: of the five stages in the loss; Wake, N1, N2, N3, REM.
        data: where clips come from; of these, the scored ones are learnt from.
        model: size; its number of channels is that of `modality`.
    """

    modality: str = "sleep_stages"
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    data: ClipDataSettings = dataclasses.field(
        default_factory=lambda: ClipDataSettings(train="train")
    )
    model: SupervisedEffNetConfig = dataclasses.field(default_factory=SupervisedEffNetConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = (*clips.MODALITIES, EVERYTHING)
        if self.modality not in known:
            raise InputError(
                f"--config.modality is {self.modality!r}: choose from {', '.join(known)}"
            )
        places = channels_of(self.modality)
        if self.model.channels != places.stop - places.start:
            raise InputError(
                f"--config.model.channels is {self.model.channels}, {self.modality} has "
                f"{places.stop - places.start}: set it to that"
            )
        check_weights(self.weights, self.model.classes)
