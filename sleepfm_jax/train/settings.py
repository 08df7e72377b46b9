"""A run's configuration in frozen dataclasses, which refuse what makes no sense."""

import dataclasses
import math

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.batching import Batching
from sleepfm_jax.input_pipeline.splits import Splits, read_published
from sleepfm_jax.input_pipeline.windows import PATCHES
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.train.optimizers import OptimizerSettings


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """Which nights train and which are held out.

    Attributes:
        train: split to train on.
        validation: split of held-out nights; empty: none.
        splits: a published split JSON; empty: by `split_seed`.
        split_seed: decides which subject goes where.
        subject: regular expression whose first group, in a night's name, is the subject; empty:
            the whole name.
    """

    train: str = "train"
    validation: str = "validation"
    splits: str = ""
    split_seed: int = 0
    subject: str = ""

    def read(self) -> Splits:
        """How nights are split.

        Raises:
            InputError: the published splits cannot be read, or the expression is none.
        """
        published = read_published(self.splits) if self.splits else None
        return Splits(seed=self.split_seed, subject=self.subject or None, published=published)


@dataclasses.dataclass(frozen=True)
class DataSettings(SplitSettings):
    """Where windows come from; of a store, which is split already, only the names matter.

    Attributes:
        path: a store that `sleepfm-jax pack` made, or a folder of recordings (HDF5).
    """

    path: str = ""


@dataclasses.dataclass(frozen=True)
class MeshSettings:
    """How devices share the work; −1: all that are left.

    Attributes:
        data: ways the batch is split.
        fsdp: ways both batch and weights are split.
        tensor: ways heads and hidden features are split.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1


@dataclasses.dataclass(frozen=True)
class ProcessSettings:
    """Which processes train together; under Slurm all of this is found out.

    Attributes:
        count: of processes; 0: those of the Slurm job step, or one.
        index: of this process, from 0.
        coordinator: `host:port` of process 0.
        timeout: seconds after which a process that is gone ends the others.
    """

    count: int = 0
    index: int = 0
    coordinator: str = ""
    timeout: int = 100


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """What the loop does beside training.

    Attributes:
        log_every: steps between lines of metrics.
        validate_every: steps between validations, each followed by a checkpoint; 0: an epoch.
        validation_windows: N, candidates from held-out nights, in pretraining.
        checkpoint_every: steps between further checkpoints; 0: an epoch.
        stop_after: validations in a row without a better loss that a run bears; one more ends it;
            0: any number.
        skipped_limit: so many steps without finite numbers in a row end the run.
        wandb: project at Weights & Biases; empty: not used.
    """

    log_every: int = 10
    validate_every: int = 500
    validation_windows: int = 1000
    checkpoint_every: int = 500
    stop_after: int = 0
    skipped_limit: int = 10
    wandb: str = ""

    def __post_init__(self) -> None:
        least = {"validate_every": 0, "checkpoint_every": 0, "stop_after": 0}
        for field in dataclasses.fields(self):
            if field.type is int:
                at_least(least.get(field.name, 1), getattr(self, field.name), f"loop.{field.name}")


@dataclasses.dataclass(frozen=True)
class Run:
    """What all runs share.

    Attributes:
        seed: of weights, dropout, the order of samples and what is drawn of them.
        epochs: passes over the data, unless `steps` is given.
        steps: of the run; 0: by `epochs`.
        init: model folder or work directory to start from; empty: from newborn weights.
        remat: compute the network's activations again in the backward pass, to save memory.
        chunks: parts of the batch that go through the network one after the other.
        freeze_batch_norm_at: step from which the network's running batch statistics are used and
            kept, in training as in inference; −1: never.
        numerics: types and precision.
        optimizer: and its schedule.
        mesh: how devices share the work.
        processes: which processes train together.
        loop: what happens beside training.
    """

    seed: int = 0
    epochs: int = 1
    steps: int = 0
    init: str = ""
    remat: bool = False
    chunks: int = 1
    freeze_batch_norm_at: int = -1
    numerics: Numerics = dataclasses.field(default_factory=Numerics)
    optimizer: OptimizerSettings = dataclasses.field(default_factory=OptimizerSettings)
    mesh: MeshSettings = dataclasses.field(default_factory=MeshSettings)
    processes: ProcessSettings = dataclasses.field(default_factory=ProcessSettings)
    loop: LoopSettings = dataclasses.field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        at_least(0, self.seed, "seed")
        at_least(0, self.steps, "steps")
        at_least(0 if self.steps else 1, self.epochs, "epochs")
        check_numerics(self.numerics)

    def steps_of(self, epoch: int) -> int:
        """Steps of the run.

        Args:
            epoch: steps of one pass over the data.
        """
        return self.steps or self.epochs * epoch

    def check_chunks(self, batch_size: int) -> None:
        """Refuses chunks that do not divide the batch.

        Raises:
            InputError: they do not.
        """
        if self.chunks < 1 or batch_size % self.chunks:
            raise InputError(
                f"--config.chunks is {self.chunks}, which does not divide the batch of "
                f"{batch_size}: give a divisor"
            )


@dataclasses.dataclass(frozen=True)
class Pretraining(Run):
    """A pretraining run.

    Attributes:
        epochs: as published.
        loss: "leave_one_out" or "pairwise".
        temperature: initial t.
        model: size.
        data: where windows come from.
        batches: how they are put together; the run's seed goes before their own.
    """

    epochs: int = 6
    loss: str = "leave_one_out"
    temperature: float = 0.0
    model: FoundationConfig = dataclasses.field(default_factory=FoundationConfig)
    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    batches: Batching = dataclasses.field(default_factory=Batching)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_contrastive(self.loss, self.temperature)
        _check_model(self.model)
        self.check_chunks(self.batches.batch_size)


def at_least(least: int, value: int, name: str) -> None:
    """Refuses a smaller value.

    Raises:
        InputError: it is smaller.
    """
    if value < least:
        raise InputError(f"--config.{name} is {value}: give {least} or more")


def check_contrastive(loss: str, temperature: float) -> None:
    """Refuses a contrastive loss or initial temperature that there is not.

    Raises:
        InputError: it is none.
    """
    if not math.isfinite(temperature):
        raise InputError(f"--config.temperature is {temperature}: give a finite number")
    if loss not in ("leave_one_out", "pairwise"):
        raise InputError(f"--config.loss is {loss!r}: give leave_one_out or pairwise")


def check_weights(weights: tuple[float, ...], classes: int) -> None:
    """Refuses weights of classes in the loss that are not one of 0 and more for each.

    Raises:
        InputError: they are not.
    """
    if len(weights) != classes or min(weights) < 0:
        raise InputError(f"--config.weights are {weights}: give one of 0 or more for each stage")


def _check_model(model: FoundationConfig) -> None:
    """Whether a network of this size can be built for windows of five minutes."""
    for field in dataclasses.fields(model):
        if field.type is int:
            at_least(1, getattr(model, field.name), f"model.{field.name}")
    at_least(PATCHES, model.max_patches, "model.max_patches")
    if not 0 <= model.dropout < 1:
        raise InputError(f"--config.model.dropout is {model.dropout}: give 0 to less than 1")
    for name in ("num_heads", "pooling_heads"):
        if model.embed_dim % getattr(model, name):
            raise InputError(
                f"--config.model.{name} is {getattr(model, name)}, which does not divide embed_dim "
                f"{model.embed_dim}: give a divisor"
            )
    if model.embed_dim % 2:
        raise InputError(f"--config.model.embed_dim is {model.embed_dim}: give an even number")


def check_numerics(numerics: Numerics) -> None:
    """Refuses types and precisions that training does not have.

    Raises:
        InputError: one of them is none.
    """
    for name, known in (
        ("dtype", ("float32", "bfloat16")),  # without x64 JAX makes float32 of float64, silently
        ("param_dtype", ("float32",)),
        ("precision", ("highest", "high", "default")),
    ):
        value = getattr(numerics, name)
        if value not in known:
            raise InputError(
                f"--config.numerics.{name} is {value!r}: choose from {', '.join(known)}"
            )
