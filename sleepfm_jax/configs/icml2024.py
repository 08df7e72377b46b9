"""The ICML 2024 system: `--config=sleepfm_jax/configs/icml2024.py:VARIANT`.

Values that a variant leaves out are the published ones; sleepfm_jax/train/clip_settings.py has all.
"""

from ml_collections import ConfigDict

from sleepfm_jax.configs import runs


def base() -> ConfigDict:
    """The published towers (3 × 3.5 M parameters) and their published training, leave-one-out.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/icml2024.py:base \
      --workdir=runs/icml2024 --config.data.path=clips

    Memory per device: 0.18 GB a clip between the passes, 5.8 GB for a batch of 32.
    Expected: the loss starts at ln(batch) = 3.47.
    """
    config = _clips("pretrain")
    config.task = "towers"
    config.loss = "leave_one_out"
    config.temperature = 0.0
    channels = {"respiratory": 3, "sleep_stages": 5, "ekg": 1}
    config.model = ConfigDict({**channels, "embed_dim": 512, **_sizes()})
    return config


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
    config = _clips("train")
    config.task = "stage_tower"
    config.modality = "sleep_stages"
    config.weights = (1.0, 1.0, 1.0, 1.0, 1.0)
    config.model = ConfigDict({"channels": 5, "classes": 5, **_sizes()})
    return config


def tiny() -> ConfigDict:
    """Small enough for a laptop: what the tests and the first try run.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/icml2024.py:tiny \
      --workdir=runs/icml2024_tiny --config.data.path=clips

    Memory per device: 1.3 GB.
    Expected: on 320 simulated nights of a quarter of an hour, a leave-one-out retrieval top-1 of
    0.10 and more among 100 clips of held-out nights, in minutes on 2 cores (chance is 0.01).
    """
    config = base()
    config.model.widths = (8, 12, 16, 24, 32, 64, 96)
    config.model.depths = (1, 1, 1, 1, 2, 2)
    config.model.expansion = 3
    config.model.features = 128
    config.model.embed_dim = 64
    config.model.dropout = 0.0
    config.batches.batch_size = 64
    config.steps = 600
    config.freeze_batch_norm_at = 520
    config.temperature = 2.0
    config.loop.validate_every = 100
    config.loop.validation_windows = 300
    config.loop.checkpoint_every = 100
    runs.adamw(config, learning_rate=2e-3, warmup_steps=10)
    return config


VARIANTS = {"base": base, "pairwise": pairwise, "supervised": supervised, "tiny": tiny}


def get_config(variant: str = "base") -> ConfigDict:
    """The configuration of a variant.

    Raises:
        ValueError: there is no such variant.
    """
    return runs.of_variant(VARIANTS, variant)


def _sizes() -> dict[str, object]:
    """The published tower's."""
    return {
        "widths": (32, 16, 24, 40, 80, 112, 192, 320),
        "depths": (1, 2, 2, 3, 3, 3, 3),
        "expansion": 6,
        "features": 1280,
        "dropout": 0.5,
    }


def _clips(split: str) -> ConfigDict:
    """What all variants share: the published training on clips of a split."""
    config = runs.shared(epochs=20)
    config.optimizer.decay_epochs = 5.0
    config.data = ConfigDict({"path": "", "train": split, "validation": "validation"})
    config.batches = runs.batches(32)
    return config
