"""Sleep staging: `sleepfm-jax finetune --config=sleepfm_jax/configs/staging.py:VARIANT`.

Values that a variant leaves out are the published ones; sleepfm_jax/train/head_settings.py has them
all.
"""

from ml_collections import ConfigDict

from sleepfm_jax.configs import heads, runs


def base() -> ConfigDict:
    """The published stager (1.29 M parameters) and its published training, on whole nights.

    sleepfm-jax finetune --config=sleepfm_jax/configs/staging.py:base --workdir=runs/staging \
      --config.data.embeddings=embeddings --config.data.labels=stages --config.backbone=MODEL

    Memory per device: of 16 nights of 8 h about 24 GB, most of it attention over 5760 steps; with
    --config.chunks=4 a quarter.
    Expected: the loss starts near 4.5 (ln 5 times the mean weight).
    """
    config = heads.shared()
    config.task = "staging"
    config.weights = (1.0, 4.0, 2.0, 4.0, 3.0)
    config.model = ConfigDict(
        {
            "embed_dim": 128,
            "num_heads": 4,
            "num_layers": 1,
            "pooling_heads": 4,
            "feed_forward": 2048,
            "dropout": 0.3,
            "max_steps": 8196,
            "classes": 5,
        }
    )
    return config


def tiny() -> ConfigDict:
    """Small enough for a laptop: embeddings of a `tiny` foundation model, runs of 30 minutes.

    sleepfm-jax finetune --config=sleepfm_jax/configs/staging.py:tiny --workdir=runs/staging \
      --config.data.embeddings=embeddings --config.data.labels=stages --config.backbone=MODEL

    Memory per device: under 1 GB.
    Expected: on simulated nights a macro-F1 above 0.8 within minutes on 2 cores
    (docs/benchmarks.md).
    """
    config = base()
    config.model.embed_dim = 64
    config.model.feed_forward = 128
    config.model.dropout = 0.1
    config.epochs = 30
    config.batches.crop = 360
    config.optimizer.learning_rate = 6e-3
    config.optimizer.schedule = "cosine"
    return config


def end_to_end() -> ConfigDict:
    """From recordings: the foundation model is trained with the head, on runs of half an hour.

    sleepfm-jax finetune --config=sleepfm_jax/configs/staging.py:end_to_end \
      --workdir=runs/end_to_end --config.data.recordings=recordings --config.data.labels=stages \
      --config.backbone=MODEL

    Memory per device: 0.07 GB a 5-minute window of 16 slots with remat, so 3.4 GB for 8 runs of 6.
    Expected: starts from MODEL, whose batch statistics stay as they are.
    """
    config = base()
    heads.end_to_end(config)
    config.batches.crop = 360
    return config


VARIANTS = {"base": base, "tiny": tiny, "end_to_end": end_to_end}


def get_config(variant: str = "base") -> ConfigDict:
    """The configuration of a variant: base, tiny or end_to_end.

    Raises:
        ValueError: there is no such variant.
    """
    return runs.of_variant(VARIANTS, variant)
