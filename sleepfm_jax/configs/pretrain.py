"""Pretraining of the foundation model: `--config=sleepfm_jax/configs/pretrain.py:VARIANT`.

Values that a variant leaves out are the published ones; sleepfm_jax/train/settings.py has them all.
"""

from ml_collections import ConfigDict

from sleepfm_jax.configs import runs


def base() -> ConfigDict:
    """The published model (4.8 M parameters) and its published training, in float32.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/pretrain.py:base \
      --workdir=runs/base --config.data.path=store

    Memory per device: 0.33 GB a window of 16 slots on it, so 42 GB for a batch of 128 on one; with
    --config.remat=True 0.07 GB a window is kept between the passes (docs/scaling.md).
    Expected: the loss starts at ln(batch) = 4.85. The published run saw some 65 000 hours.
    """
    config = runs.shared(epochs=6)
    config.loss = "leave_one_out"
    config.temperature = 0.0
    config.model = ConfigDict(
        {
            "embed_dim": 128,
            "num_heads": 8,
            "num_layers": 6,
            "pooling_heads": 8,
            "feed_forward": 2048,
            "dropout": 0.3,
            "max_patches": 128,
        }
    )
    config.data = ConfigDict(
        {
            "path": "",
            "train": "train",
            "validation": "validation",
            "splits": "",
            "split_seed": 0,
            "subject": "",
        }
    )
    dropped = {"channel_dropout": 0.0, "modality_dropout": 0.0, "amplitude_jitter": 0.0}
    config.batches = runs.batches(128, slots=16, **dropped)
    config.loop.validate_every = 500
    config.loop.checkpoint_every = 500
    return config


def base_bf16() -> ConfigDict:
    """The published model for accelerators: bfloat16 activations, AdamW, a batch of 512.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/pretrain.py:base_bf16 \
      --workdir=runs/base_bf16 --config.data.path=store

    Memory per device: 0.29 GB a window of 16 slots is kept between the passes, 0.05 GB with remat;
    a batch of 512 on eight devices keeps 19 GB on each, or 3 GB.
    Expected: the loss starts at ln(batch) = 6.24. Batch statistics are frozen for the last tenth or
    so of a run (set --config.freeze_batch_norm_at to nine tenths of its steps), so that inference
    runs the network that was trained.
    """
    config = base()
    config.numerics.dtype = "bfloat16"
    config.numerics.precision = "default"
    config.batches.batch_size = 512
    runs.adamw(config, learning_rate=1e-3, warmup_steps=1000)
    return config


def large() -> ConfigDict:
    """About 300 M parameters in bfloat16, weights and optimiser split over eight devices.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/pretrain.py:large \
      --workdir=runs/large --config.data.path=store --config.mesh.fsdp=8

    Memory per device on eight: 0.46 GB of weights and optimiser, and with remat 0.065 GB a window
    kept between the passes, 2.1 GB for the 32 windows of a device, and what one layer needs.
    Expected: the loss starts at ln(batch) = 5.55. This size has been traced and sharded, but not
    trained: no figure is known yet.
    """
    config = base()
    config.model.embed_dim = 1024
    config.model.num_heads = 16
    config.model.num_layers = 22
    config.model.pooling_heads = 16
    config.model.feed_forward = 4096
    config.model.dropout = 0.1
    config.numerics.dtype = "bfloat16"
    config.numerics.precision = "default"
    config.remat = True
    config.batches.batch_size = 256
    config.mesh.fsdp = -1
    config.mesh.data = 1
    runs.adamw(config, learning_rate=3e-4, warmup_steps=2000)
    return config


def tiny() -> ConfigDict:
    """Small enough for a laptop: what the tests and the first try run.

    sleepfm-jax pretrain --config=sleepfm_jax/configs/pretrain.py:tiny \
      --workdir=runs/tiny --config.data.path=store

    Memory per device: under 2 GB.
    Expected: on 40 simulated nights of an hour, a leave-one-out retrieval top-1 of 0.10 and more
    among 100 windows of held-out nights, in under 5 minutes on 2 cores (chance is 0.01).
    """
    config = base()
    config.model.embed_dim = 64
    config.model.num_heads = 4
    config.model.num_layers = 2
    config.model.pooling_heads = 4
    config.model.feed_forward = 128
    config.model.dropout = 0.0
    config.model.max_patches = 60
    config.batches.batch_size = 16
    config.batches.slots = 8
    config.steps = 320
    config.freeze_batch_norm_at = 120
    config.temperature = 2.0
    config.loop.validate_every = 80
    config.loop.validation_windows = 100
    config.loop.checkpoint_every = 80
    runs.adamw(config, learning_rate=1.5e-3, warmup_steps=20)
    return config


VARIANTS = {"base": base, "base_bf16": base_bf16, "large": large, "tiny": tiny}


def get_config(variant: str = "base") -> ConfigDict:
    """The configuration of a variant: base, base_bf16, large or tiny.

    Raises:
        ValueError: there is no such variant.
    """
    return runs.of_variant(VARIANTS, variant)
