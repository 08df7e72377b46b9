"""What the configurations of staging and of disease risk share; it is none by itself."""

from ml_collections import ConfigDict


def shared() -> ConfigDict:
    """Values of every head's run, as published: AdamW 1e-3, decay 0.01 on everything, plateau."""
    return ConfigDict(
        {
            "seed": 0,
            "epochs": 100,
            "steps": 0,
            "init": "",
            "backbone": "",
            "learn_from": "embeddings",
            "remat": False,
            "chunks": 1,
            "freeze_batch_norm_at": 0,
            "numerics": {"dtype": "float32", "param_dtype": "float32", "precision": "highest"},
            "optimizer": {
                "name": "adamw",
                "learning_rate": 1e-3,
                "schedule": "plateau",
                "decay_rate": 0.1,
                "decay_epochs": 2.0,
                "patience": 10,
                "warmup_steps": 0,
                "momentum": 0.9,
                "weight_decay": 0.01,
                "decay_all": True,
                "clip_norm": 0.0,
            },
            "data": {
                "embeddings": "",
                "recordings": "",
                "labels": "",
                "train": "train",
                "validation": "validation",
                "splits": "",
                "split_seed": 0,
                "subject": "",
            },
            "batches": {"batch_size": 16, "crop": 0, "slots": 16},
            "mesh": {"data": -1, "fsdp": 1, "tensor": 1},
            "processes": {"count": 0, "index": 0, "coordinator": "", "timeout": 100},
            "loop": {
                "log_every": 10,
                "validate_every": 0,
                "validation_windows": 1000,
                "checkpoint_every": 0,
                "stop_after": 20,
                "skipped_limit": 10,
                "wandb": "",
            },
        }
    )


def end_to_end(config: ConfigDict) -> None:
    """Trains the foundation model too: half an hour of signals at a time, a smaller rate."""
    config.learn_from = "recordings"
    config.remat = True
    config.epochs = 10
    config.batches.batch_size = 8
    config.optimizer.learning_rate = 1e-4
    config.optimizer.clip_norm = 1.0
