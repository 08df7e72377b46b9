"""`sleepfm-jax finetune`: sleep staging or disease risk on labelled nights, resumable."""

import signal
from pathlib import Path
from typing import Any

from sleepfm_jax.commands import training_flags

USAGE = """\
usage: sleepfm-jax finetune --config=FILE.py:VARIANT --workdir=DIR --config.data.NAME=…
                            [--config.KEY=VALUE …]

Trains a head on labelled nights: sleep stages every 5 seconds, or the risk of many diseases. It
learns from embeddings (of `sleepfm-jax embed`), or from recordings together with the foundation
model. The same command goes on where a run was stopped, killed or interrupted, with the very
numbers it would have given uninterrupted.

examples:
  sleepfm-jax finetune --config=sleepfm_jax/configs/staging.py:base --workdir=runs/staging \\
    --config.data.embeddings=embeddings --config.data.labels=stages --config.backbone=MODEL
  sleepfm-jax finetune --config=sleepfm_jax/configs/diagnosis.py:base --workdir=runs/risk \\
    --config.data.embeddings=embeddings --config.data.labels=tables --config.backbone=MODEL

flags, --config first:
  --config=sleepfm_jax/configs/staging.py:base           the published stager and its training
                                         :tiny           minutes on a laptop
                                         :end_to_end     from recordings, foundation model too
  --config=sleepfm_jax/configs/diagnosis.py:base         the published model, age and sex beside
                                           :cohort       for hundreds of subjects, not thousands
                                           :night_only   without age and sex
                                           :demographics age and sex alone, what to compare with
                                           :supervised   from signals, without pretraining
                                           :end_to_end   from recordings, foundation model too
  --config=sleepfm_jax/configs/icml2024.py:supervised    the ICML 2024 baseline, stages from clips
  --config.data.embeddings=DIR             what `sleepfm-jax embed` wrote
  --config.data.recordings=DIR             what `sleepfm-jax preprocess` wrote, instead
  --config.data.labels=DIR                 hypnograms named as the nights, in any format of
                                           docs/annotations.md; or is_event.csv, time_to_event.csv
                                           and demographics.csv
  --config.data.path=CLIPS                 what `sleepfm-jax clip` wrote, for :supervised
  --config.backbone=MODEL                  the foundation model that made the embeddings; it is
                                           kept beside the head, so that EDFs can be staged
  --config.epochs=50                       any value of the configuration, by its name

what DIR holds
  model/                     base/ and staging/ or diagnosis/: the best by held-out loss so far;
                             `sleepfm-jax stage --model DIR` and `risk --model DIR` take it
                             (of :supervised, the tower itself)
  checkpoints/STEP/          the two newest and the best, all to go on from
  metrics.jsonl, tensorboard/, curves.png, settings.json

Nights are split by subject. Tables, formats and what is left out: docs/finetuning.md. Every value
of the configuration: sleepfm_jax/train/head_settings.py.
"""


def main(argv: list[str]) -> int:
    """Trains a head; 0 when done or stopped by SIGTERM, 130 by Ctrl-C."""
    return training_flags.run("finetune", USAGE, argv, _train)


def _train(config: Any, workdir: Path) -> signal.Signals | None:
    from sleepfm_jax.train import (
        clip_settings,
        clip_training,
        configuration,
        finetuning,
        head_settings,
    )

    task, values = training_flags.split_task(config, ("staging", "diagnosis", "stage_tower"))
    if task == "stage_tower":
        return clip_training.train(configuration.read(clip_settings.StageTower, values), workdir)
    kinds: dict[str, type[head_settings.Staging] | type[head_settings.Diagnosis]] = {
        "staging": head_settings.Staging,
        "diagnosis": head_settings.Diagnosis,
    }
    return finetuning.finetune(configuration.read(kinds[task], values), workdir)
