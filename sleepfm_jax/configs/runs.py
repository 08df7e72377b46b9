"""What the configurations of all runs share; it is none by itself."""

from collections.abc import Callable, Mapping

from ml_collections import ConfigDict


def shared(epochs: int) -> ConfigDict:
    """Values of every run, as published for pretraining: SGD 1e-3 with momentum and step decay.

    Args:
        epochs: passes over the data.
    """
    return ConfigDict(
        {
            "seed": 0,
            "epochs": epochs,
            "steps": 0,
            "init": "",
            "remat": False,
            "chunks": 1,
            "freeze_batch_norm_at": -1,
            "numerics": {"dtype": "float32", "param_dtype": "float32", "precision": "highest"},
            "optimizer": {
                "name": "sgd",
                "learning_rate": 1e-3,
                "schedule": "step",
                "decay_rate": 0.1,
                "decay_epochs": 2.0,
                "patience": 10,
                "warmup_steps": 0,
                "momentum": 0.9,
                "weight_decay": 0.0,
                "decay_all": False,
                "clip_norm": 0.0,
            },
            "mesh": {"data": -1, "fsdp": 1, "tensor": 1},
            "processes": {"count": 0, "index": 0, "coordinator": "", "timeout": 100},
            "loop": {
                "log_every": 10,
                "validate_every": 0,
                "validation_windows": 1000,
                "checkpoint_every": 0,
                "stop_after": 0,
                "skipped_limit": 10,
                "wandb": "",
            },
        }
    )


def adamw(config: ConfigDict, learning_rate: float, warmup_steps: int) -> None:
    """AdamW with warm-up, cosine decay and clipping instead."""
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = learning_rate
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = warmup_steps
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0


def batches(batch_size: int, **more: float) -> ConfigDict:
    """How samples are put together, as published.

    Args:
        batch_size: rows of a batch.
        more: settings of some samples alone.
    """
    return ConfigDict(
        {
            "batch_size": batch_size,
            "nights": "mixed",
            "run": 4,
            "skip_damaged": True,
            "threads": 0,
            "prefetch": 2,
            "workers": 0,
            **more,
        }
    )


def of_variant(variants: Mapping[str, Callable[[], ConfigDict]], variant: str) -> ConfigDict:
    """The configuration of a variant.

    Args:
        variants: what makes each.
        variant: its name.

    Raises:
        ValueError: there is no such variant.
    """
    if variant not in variants:
        raise ValueError(f"no variant {variant!r}: choose from {', '.join(variants)}")
    return variants[variant]()
