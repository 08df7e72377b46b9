"""`sleepfm-jax pretrain`: contrastive pretraining from a configuration file, resumable."""

import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from sleepfm_jax.train import launch, settings

PACKAGE = Path(__file__).parents[1]

USAGE = """\
usage: sleepfm-jax pretrain --config=FILE.py:VARIANT --workdir=DIR --config.data.path=STORE
                            [--config.KEY=VALUE …]

Trains the foundation model on the windows of STORE (from `sleepfm-jax pack`, or a folder of
recordings) and keeps all of the run in DIR. The same command goes on where a run was stopped,
killed or interrupted, with the very numbers it would have given uninterrupted.

examples:
  sleepfm-jax pretrain --config=sleepfm_jax/configs/pretrain.py:base --workdir=runs/base \\
    --config.data.path=store

flags, --config first:
  --config=sleepfm_jax/configs/pretrain.py:base        the published model and training
                                          :base_bf16   the same for accelerators
                                          :large       about 300 M parameters
                                          :tiny        minutes on a laptop, to try things out
  --config.data.path=STORE                 windows to train on
  --config.batches.batch_size=256          any value of the configuration, by its name
  --config.mesh.fsdp=8                     weights split over devices; the batch is split anyway
  --config.chunks=4                        a larger batch than fits the memory, exactly
  --config.init=MODEL                      start from a model instead of random weights

what DIR holds
  model/                     the best model so far; `sleepfm-jax embed --model DIR` takes it
  checkpoints/STEP/          the two newest and the best, all to go on from
  metrics.jsonl, tensorboard/, loss_and_retrieval.png
  settings.json              the configuration

SIGTERM and Ctrl-C save a checkpoint first. Several processes, Slurm and what sets memory:
docs/scaling.md. Every value of the configuration: sleepfm_jax/train/settings.py.
"""


def main(argv: list[str]) -> int:
    """Pretrains; 0 when done or stopped by SIGTERM, 130 by Ctrl-C."""
    if not argv or {"--help", "-h"} & set(argv):
        print(USAGE, end="")
        raise SystemExit(0 if argv else 2)
    values = flags.FlagValues()
    config = config_flags.DEFINE_config_file("config", None, "", flag_values=values)
    workdir = flags.DEFINE_string("workdir", None, "", flag_values=values)
    try:
        with _command_line(["sleepfm-jax pretrain", *map(_from_anywhere, argv)]) as words:
            _refuse_missing_file(words)
            rest = values(words)
    except Exception as error:  # a configuration is a program: it raises what it likes
        raise _wrong_use(_line(error)) from error
    if len(rest) > 1 or not values["config"].present or not workdir.value:
        raise _wrong_use("give --config=FILE.py:VARIANT and --workdir=DIR, and flags alone")
    logging.getLogger("absl").setLevel(logging.WARNING)
    chosen = settings.read(settings.Pretraining, config.value)
    stopped_by = launch.pretrain(chosen, Path(workdir.value))
    if stopped_by is None:
        print(f"{workdir.value}: done; the model is {Path(workdir.value) / 'model'}")
        return 0
    print(f"{workdir.value}: saved after {stopped_by.name}; run the same command again to go on")
    return 128 + signal.SIGINT if stopped_by == signal.SIGINT else 0


@contextlib.contextmanager
def _command_line(words: list[str]) -> Iterator[list[str]]:
    """ml_collections looks for `--config.KEY` in `sys.argv`, whatever it is given to parse."""
    before, sys.argv = sys.argv, words
    try:
        yield words
    finally:
        sys.argv = before


def _refuse_missing_file(words: list[str]) -> None:
    """ml_collections would tell of another fault, or later."""
    for word in words:
        file = word.removeprefix("--config=").split(":")[0]
        if word.startswith("--config=") and not Path(file).is_file():
            raise FileNotFoundError(f"{file} cannot be read")


def _from_anywhere(flag: str) -> str:
    """Our own configurations are found in whatever folder one stands."""
    file = flag.removeprefix("--config=").split(":")[0]
    if not flag.startswith("--config=sleepfm_jax/") or Path(file).exists():
        return flag
    return flag.replace("sleepfm_jax", str(PACKAGE), 1)


def _wrong_use(why: str) -> SystemExit:
    print(f"sleepfm-jax pretrain: error: {why} (see --help)", file=sys.stderr)
    return SystemExit(2)


def _line(error: Exception) -> str:
    """The line of a message that says what is wrong: the last one after a heading."""
    lines = [line.strip() for line in f"{error}".splitlines() if line.strip()]
    lines = lines or [f"the configuration fails with {type(error).__name__}"]
    if isinstance(error, AttributeError | KeyError) and error.args:
        return f"the configuration has no value {error.args[0]}"
    return lines[-1] if lines[0].endswith(":") else lines[0]
