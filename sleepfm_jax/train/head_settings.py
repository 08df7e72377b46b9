"""The configuration of a head's run: sleep staging or disease risk, beside what all runs share."""

import dataclasses
import math

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.outcomes import Encoding
from sleepfm_jax.input_pipeline.windows import PATCHES
from sleepfm_jax.losses import STAGE_WEIGHTS, TIES
from sleepfm_jax.models.disease_risk import RiskConfig
from sleepfm_jax.models.sleep_stager import StagingConfig
from sleepfm_jax.train.settings import Run, SplitSettings, at_least, check_weights

LONGEST = 7 * 24 * 720  # steps: a week, for heads that set no limit
EMBEDDINGS, RECORDINGS = "embeddings", "recordings"
SIGNALS, DEMOGRAPHICS = "signals", "demographics"


@dataclasses.dataclass(frozen=True)
class LabelledDataSettings(SplitSettings):
    """Where nights and their labels come from (docs/finetuning.md).

    Attributes:
        embeddings: folder that `sleepfm-jax embed` wrote.
        recordings: folder of recordings (HDF5) that `sleepfm-jax preprocess` wrote, to learn from
            signals instead.
        labels: for staging, folder of hypnograms in any format of docs/annotations.md; for
            diagnosis, folder of is_event.csv, time_to_event.csv and demographics.csv.
    """

    embeddings: str = ""
    recordings: str = ""
    labels: str = ""


@dataclasses.dataclass(frozen=True)
class NightBatchSettings:
    """How nights become batches.

    Attributes:
        batch_size: nights of a batch over all processes.
        crop: train on runs of so many 5-s steps, another one of each night in each epoch; 0: on
            whole nights.
        slots: channels of a night, where signals come in.
    """

    batch_size: int = 16
    crop: int = 0
    slots: int = 16


@dataclasses.dataclass(frozen=True)
class HeadRun(Run):
    """What the runs of all heads share beside that; `init` names a head.

    Attributes:
        epochs: passes over the nights.
        freeze_batch_norm_at: from the start, by default.
        backbone: folder of the foundation model that made the embeddings, which is kept beside the
            head; or that signals go through, and which is trained too.
        learn_from: "embeddings", or "recordings" to train the foundation model too.
        data: where nights and labels come from.
        batches: how nights are put together.
    """

    epochs: int = 100
    freeze_batch_norm_at: int = 0
    backbone: str = ""
    learn_from: str = EMBEDDINGS
    data: LabelledDataSettings = dataclasses.field(default_factory=LabelledDataSettings)
    batches: NightBatchSettings = dataclasses.field(default_factory=NightBatchSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, self.batches.batch_size, "batches.batch_size")
        at_least(0, self.batches.crop, "batches.crop")
        at_least(4, self.batches.slots, "batches.slots")
        known = self.known_inputs()
        if self.learn_from not in known:
            raise InputError(
                f"--config.learn_from is {self.learn_from!r}: choose from {', '.join(known)}"
            )
        if self.learn_from == RECORDINGS and not self.backbone:
            raise InputError(
                "--config.learn_from=recordings trains a foundation model too: give the one to "
                "start from, --config.backbone=MODEL"
            )
        self.check_chunks(self.batches.batch_size)

    def known_inputs(self) -> tuple[str, ...]:
        """What `learn_from` may be."""
        return (EMBEDDINGS, RECORDINGS)

    @property
    def longest(self) -> int:
        """The longest night, or crop, that the head takes, in steps."""
        return LONGEST


@dataclasses.dataclass(frozen=True)
class Staging(HeadRun):
    """A run of sleep staging.

    Attributes:
        weights: of Wake, N1, N2, N3 and REM in the loss.
        model: size.
    """

    weights: tuple[float, ...] = STAGE_WEIGHTS
    model: StagingConfig = dataclasses.field(default_factory=StagingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_head(self.model, ("num_heads", "pooling_heads"))
        check_weights(self.weights, self.model.classes)

    @property
    def longest(self) -> int:
        """The longest night, or crop, that the head takes, in steps: whole windows of its table."""
        return self.model.max_steps // PATCHES * PATCHES


@dataclasses.dataclass(frozen=True)
class Diagnosis(HeadRun):
    """A run of disease risk.

    Attributes:
        ties: of events on one day: "breslow" or "efron"; or "published", by the batch's order.
        risk_sets: "batch", as published, or "cohort": each loss is that of everybody who trains,
            with the last known scores of those who are not in the batch.
        residual: age and sex are fitted first and fixed, and the night learns what they leave: for
            hundreds of subjects (docs/finetuning.md).
        night_decay: weight decay of the last layer's weights on the night, where `residual`.
        encoding: of age and sex; unverified in the published code (spec §3).
        model: size; `labels` 0: as many as the tables have; `demographics` 0: without, or 2.
    """

    ties: str = "breslow"
    risk_sets: str = "batch"
    residual: bool = False
    night_decay: float = 1.0
    encoding: Encoding = dataclasses.field(default_factory=Encoding)
    model: RiskConfig = dataclasses.field(default_factory=lambda: RiskConfig(labels=0))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_head(self.model, ("pooling_heads",), {"labels": 0, "demographics": 0})
        for name, known in (("ties", TIES), ("risk_sets", ("batch", "cohort"))):
            if getattr(self, name) not in known:
                raise InputError(
                    f"--config.{name} is {getattr(self, name)!r}: choose from {', '.join(known)}"
                )
        if self.residual and (
            self.model.demographics != 2 or self.learn_from not in (EMBEDDINGS, RECORDINGS)
        ):
            raise InputError(
                "--config.residual=True is for nights beside age and sex: set --config.model."
                "demographics=2, and --config.learn_from to embeddings or recordings"
            )
        if self.residual and self.init:
            raise InputError("--config.residual=True starts from age and sex: leave out init")
        if not 0 <= self.night_decay < math.inf:
            raise InputError(f"--config.night_decay is {self.night_decay}: give 0 or more")
        if self.model.demographics not in (0, 2):
            raise InputError(
                f"--config.model.demographics is {self.model.demographics}: give 2 (age and sex) "
                "or 0 (without)"
            )

    def known_inputs(self) -> tuple[str, ...]:
        """What `learn_from` may be: "signals" trains a supervised model from newborn weights."""
        return (EMBEDDINGS, RECORDINGS, SIGNALS, DEMOGRAPHICS)


HeadSettings = Staging | Diagnosis


def check_head(
    model: StagingConfig | RiskConfig, heads: tuple[str, ...], least: dict[str, int] | None = None
) -> None:
    """Whether a head of this size can be built.

    Args:
        model: its size.
        heads: fields that must divide `embed_dim`.
        least: the least values of fields that may be less than 1.

    Raises:
        InputError: it cannot.
    """
    for field in dataclasses.fields(model):
        if field.type is int:
            name = f"model.{field.name}"
            at_least((least or {}).get(field.name, 1), getattr(model, field.name), name)
    if not 0 <= model.dropout < 1:
        raise InputError(f"--config.model.dropout is {model.dropout}: give 0 to less than 1")
    for divisor in sorted({4, *(getattr(model, name) for name in heads)}):
        if model.embed_dim % divisor:
            raise InputError(
                f"--config.model.embed_dim is {model.embed_dim}, no multiple of {divisor}: change "
                f"it, or {' and '.join(heads)}"
            )
