"""Disease risk: `sleepfm-jax finetune --config=sleepfm_jax/configs/diagnosis.py:VARIANT`.

Values that a variant leaves out are the published ones; sleepfm_jax/train/head_settings.py has them
all.
"""

from ml_collections import ConfigDict

from sleepfm_jax.configs import heads, runs


def base() -> ConfigDict:
    """The published model of risk (0.96 M parameters for 1065 phecodes) and its published training.

    sleepfm-jax finetune --config=sleepfm_jax/configs/diagnosis.py:base --workdir=runs/risk \
      --config.data.embeddings=embeddings --config.data.labels=tables --config.backbone=MODEL

    Memory per device: of 32 nights of 8 h about 6 GB; with --config.chunks=4 a quarter.
    Expected: thousands of subjects; for hundreds take `cohort`.
    """
    config = heads.shared()
    config.task = "diagnosis"
    config.ties = "breslow"
    config.risk_sets = "batch"
    config.residual = False
    config.night_decay = 1.0
    config.batches.batch_size = 32
    config.encoding = ConfigDict({"age_divisor": 98.0, "female": 0.0, "male": 1.0})
    config.model = ConfigDict(
        {
            "embed_dim": 128,
            "num_layers": 2,
            "pooling_heads": 8,
            "feed_forward": 2048,
            "dropout": 0.3,
            "max_steps": 8196,
            "labels": 0,
            "demographics": 2,
        }
    )
    return config


def cohort() -> ConfigDict:
    """For hundreds of subjects: age and sex first, then what the night adds to them.

    sleepfm-jax finetune --config=sleepfm_jax/configs/diagnosis.py:cohort --workdir=runs/cohort \
      --config.data.embeddings=embeddings --config.data.labels=tables --config.backbone=MODEL

    Memory per device: as `base`.
    Expected: on 200 simulated nights the gain over age and sex of docs/benchmarks.md.
    """
    config = base()
    config.risk_sets = "cohort"
    config.residual = True
    config.model.num_layers = 1
    config.model.feed_forward = 64
    config.epochs = 20
    config.night_decay = 5.0
    config.optimizer.learning_rate = 3e-3
    config.optimizer.schedule = "cosine"
    return config


def night_only() -> ConfigDict:
    """The published model without age and sex.

    sleepfm-jax finetune --config=sleepfm_jax/configs/diagnosis.py:night_only --workdir=runs/night \
      --config.data.embeddings=embeddings --config.data.labels=tables --config.backbone=MODEL

    Memory per device: as `base`.
    Expected: age and sex that the night tells are still in it.
    """
    config = base()
    config.model.demographics = 0
    return config


def demographics() -> ConfigDict:
    """Age and sex alone: what any model of the night has to beat.

    sleepfm-jax finetune --config=sleepfm_jax/configs/diagnosis.py:demographics \
      --workdir=runs/demographics --config.data.embeddings=embeddings --config.data.labels=tables

    Memory per device: next to nothing.
    Expected: seconds an epoch; the nights are not read.
    """
    config = base()
    config.learn_from = "demographics"
    return config


def supervised() -> ConfigDict:
    """From signals and newborn weights, all channels in one pool, without any pretraining.

    sleepfm-jax finetune --config=sleepfm_jax/configs/diagnosis.py:supervised \
      --workdir=runs/supervised --config.data.recordings=recordings --config.data.labels=tables

    Memory per device: 0.07 GB a 5-minute window of 16 slots with remat; a night of 8 h has 96.
    Expected: what pretraining has to beat.
    """
    config = base()
    config.learn_from = "signals"
    config.remat = True
    config.freeze_batch_norm_at = -1
    config.batches.batch_size = 8
    return config


def end_to_end() -> ConfigDict:
    """From recordings: the foundation model is trained with the head, on runs of half an hour.

    sleepfm-jax finetune --config=sleepfm_jax/configs/diagnosis.py:end_to_end \
      --workdir=runs/end_to_end --config.data.recordings=recordings --config.data.labels=tables \
      --config.backbone=MODEL

    Memory per device: 0.07 GB a 5-minute window of 16 slots with remat, so 3.4 GB for 8 runs of 6.
    Expected: starts from MODEL, whose batch statistics stay as they are.
    """
    config = base()
    heads.end_to_end(config)
    config.batches.crop = 360
    config.risk_sets = "cohort"
    return config


VARIANTS = {
    "base": base,
    "cohort": cohort,
    "night_only": night_only,
    "demographics": demographics,
    "supervised": supervised,
    "end_to_end": end_to_end,
}


def get_config(variant: str = "base") -> ConfigDict:
    """The configuration of a variant, by the name of its function above.

    Raises:
        ValueError: there is no such variant.
    """
    return runs.of_variant(VARIANTS, variant)
