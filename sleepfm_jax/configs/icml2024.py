"""The ICML 2024 system: `--config=sleepfm_jax/configs/icml2024.py:VARIANT`.

Values that a variant leaves out are the published ones; sleepfm_jax/train/clip_settings.py has all.
"""

from ml_collections import ConfigDict


def base() -> ConfigDict:
    """The published towers (3 × 3.5 M parameters) and their published training, leave-one-out.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/icml2024.py:base \
      --workdir=runs/icml2024 --config.data.path=clips

    Memory per device: 0.18 GB a clip between the passes, 5.8 GB for a batch of 32.
    Expected: the loss starts at ln(batch) = 3.47.
    """
    return ConfigDict(
        {
            "task": "towers",
            "loss": "leave_one_out",
            "temperature": 0.0,
            "model": {
                "respiratory": 3,
                "sleep_stages": 5,
                "ekg": 1,
                "embed_dim": 512,
                **_sizes(),
            },
            **_training("pretrain"),
        }
    )


def pairwise() -> ConfigDict:
    """The same with the pairwise loss.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/icml2024.py:pairwise \
      --workdir=runs/icml2024_pairwise --config.data.path=clips

    Memory per device: as `base`.
    Expected: the loss starts at ln(batch) = 3.47.
    """
    config = base()
    config.loss = "pairwise"
    return config


def supervised() -> ConfigDict:
    """The supervised baseline: one tower learns stages from labels, as the probe does.

    sleepfm-jax finetune --config=sleepfm_jax/configs/icml2024.py:supervised \
      --workdir=runs/icml2024_supervised --config.data.path=clips

    Memory per device: 2.0 GB for a batch of 32.
    Expected: the loss starts at ln 5 = 1.61.
    """
    return ConfigDict(
        {
            "task": "stage_tower",
            "modality": "sleep_stages",
            "weights": (1.0, 1.0, 1.0, 1.0, 1.0),
            "model": {"channels": 5, "classes": 5, **_sizes()},
            **_training("train"),
        }
    )


def tiny() -> ConfigDict:
    """Small enough for a laptop: what the tests and the first try run.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/icml2024.py:tiny \
      --workdir=runs/icml2024_tiny --config.data.path=clips

    Memory per device: under 1 GB.
    Expected: a retrieval top-1 of 0.10 and more among 100 held-out clips (chance is 0.01).
    """
    config = base()
    config.model.widths = (8, 16, 24, 32, 48, 64)
    config.model.depths = (1, 1, 1, 1, 1)
    config.model.expansion = 2
    config.model.features = 128
    config.model.embed_dim = 64
    config.model.dropout = 0.0
    config.steps = 160
    config.temperature = 2.0
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 10
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.loop.validation_windows = 100
    config.loop.validate_every = 80
    config.loop.checkpoint_every = 80
    return config


VARIANTS = {"base": base, "pairwise": pairwise, "supervised": supervised, "tiny": tiny}


def get_config(variant: str = "base") -> ConfigDict:
    """The configuration of a variant.

    Raises:
        ValueError: there is no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r}: choose from {', '.join(VARIANTS)}")
    return VARIANTS[variant]()


def _sizes() -> dict[str, object]:
    """The published tower's."""
    return {
        "widths": (32, 16, 24, 40, 80, 112, 192, 320),
        "depths": (1, 2, 2, 3, 3, 3, 3),
        "expansion": 6,
        "features": 1280,
        "dropout": 0.5,
    }


def _training(split: str) -> dict[str, object]:
    """What all variants share: the published optimiser, and clips of a split."""
    return {
        "seed": 0,
        "epochs": 20,
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
            "decay_epochs": 5.0,
            "patience": 10,
            "warmup_steps": 0,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "decay_all": False,
            "clip_norm": 0.0,
        },
        "data": {"path": "", "train": split, "validation": "validation"},
        "batches": {
            "batch_size": 32,
            "nights": "mixed",
            "run": 4,
            "skip_damaged": True,
            "threads": 0,
            "prefetch": 2,
            "workers": 0,
        },
        "mesh": {"data": -1, "fsdp": 1, "tensor": 1},
        "processes": {"count": 0, "index": 0, "coordinator": "", "timeout": 100},
        "loop": {
            "log_every": 10,
            "validate_every": 0,
            "validation_windows": 1000,
            "checkpoint_every": 500,
            "stop_after": 0,
            "skipped_limit": 10,
            "wandb": "",
        },
    }
