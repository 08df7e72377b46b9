"""`sleepfm-jax pretrain`: contrastive pretraining from a configuration file, resumable."""

import signal
from pathlib import Path
from typing import Any

from sleepfm_jax.commands import training_flags
from sleepfm_jax.train import clip_settings, clip_training, configuration, launch, settings

USAGE = """\
usage: sleepfm-jax pretrain --config=FILE.py:VARIANT --workdir=DIR --config.data.path=STORE
                            [--config.KEY=VALUE …]

Trains the foundation model on the windows of STORE (from `sleepfm-jax pack`, or a folder of
recordings), or the towers of the ICML 2024 system on clips (from `sleepfm-jax clip`), and keeps all
of the run in DIR. The same command goes on where a run was stopped, killed or interrupted, with the
very numbers it would have given uninterrupted.

examples:
  sleepfm-jax pretrain --config=sleepfm_jax/configs/pretrain.py:base --workdir=runs/base \\
    --config.data.path=store
  sleepfm-jax pretrain --config=sleepfm_jax/configs/icml2024.py:base --workdir=runs/icml2024 \\
    --config.data.path=clips

flags, --config first:
  --config=sleepfm_jax/configs/pretrain.py:base        the published model and training
                                          :base_bf16   the same for accelerators
                                          :large       about 300 M parameters
                                          :tiny        minutes on a laptop, to try things out
  --config=sleepfm_jax/configs/icml2024.py:base        the published towers, leave-one-out
                                          :pairwise    the same with the pairwise loss
                                          :tiny        minutes on a laptop, to try things out
  --config.data.path=STORE                 windows, or clips, to train on
  --config.batches.batch_size=256          any value of the configuration, by its name
  --config.mesh.fsdp=8                     weights split over devices; the batch is split anyway
  --config.chunks=4                        a larger batch than fits the memory, exactly
  --config.init=MODEL                      start from a model instead of random weights

what DIR holds
  model/                     the best model so far; `sleepfm-jax embed --model DIR` takes it
  checkpoints/STEP/          the two newest and the best, all to go on from
  metrics.jsonl, tensorboard/, curves.png
  settings.json              the configuration

SIGTERM and Ctrl-C save a checkpoint first. Several processes, Slurm and what sets memory:
docs/scaling.md. Every value of the configuration: sleepfm_jax/train/settings.py and
clip_settings.py. Foundation model and towers compared: docs/systems.md.
"""


def main(argv: list[str]) -> int:
    """Pretrains; 0 when done or stopped by SIGTERM, 130 by Ctrl-C."""
    return training_flags.run("pretrain", USAGE, argv, _train)


def _train(config: Any, workdir: Path) -> signal.Signals | None:
    task, values = training_flags.split_task(config, ("pretraining", "towers"), "pretraining")
    if task == "towers":
        return clip_training.train(configuration.read(clip_settings.Towers, values), workdir)
    return launch.pretrain(configuration.read(settings.Pretraining, values), workdir)
