"""What the configurations of staging and of disease risk share; it is none by itself."""

from ml_collections import ConfigDict

from sleepfm_jax.configs import runs


def shared() -> ConfigDict:
    """Values of every head's run, as published: AdamW 1e-3, decay 0.01 on everything, plateau."""
    config = runs.shared(epochs=100)
    config.backbone = ""
    config.learn_from = "embeddings"
    config.freeze_batch_norm_at = 0
    config.optimizer.name = "adamw"
    config.optimizer.schedule = "plateau"
    config.optimizer.weight_decay = 0.01
    config.optimizer.decay_all = True
    config.data = ConfigDict(
        {
            "embeddings": "",
            "recordings": "",
            "labels": "",
            "train": "train",
            "validation": "validation",
            "splits": "",
            "split_seed": 0,
            "subject": "",
        }
    )
    config.batches = ConfigDict({"batch_size": 16, "crop": 0, "slots": 16})
    config.loop.stop_after = 20
    return config


def end_to_end(config: ConfigDict) -> None:
    """Trains the foundation model too: half an hour of signals at a time, a smaller rate."""
    config.learn_from = "recordings"
    config.remat = True
    config.epochs = 10
    config.batches.batch_size = 8
    config.optimizer.learning_rate = 1e-4
    config.optimizer.clip_norm = 1.0
