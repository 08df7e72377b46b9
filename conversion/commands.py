"""What each command of `python -m conversion` does with its flags; needs PyTorch."""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from conversion import checkpoints, config_json, parity, published, samples
from conversion.models import create_checkpoint, export_checkpoint, import_files
from conversion.release import FAILED, Release, with_labels
from conversion.samples import HeadSample, Sample
from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.kinds import kind_of


def import_(flags: argparse.Namespace) -> int:
    """Converts a checkpoint, or a whole release, into model folders."""
    if flags.release:
        if flags.config or flags.labels:
            raise InputError(
                "--config and --labels belong to --checkpoint, a release has its own; leave them"
            )
        return _take_release(flags, flags.output)
    model = import_files(flags.checkpoint, flags.config)
    if flags.labels:
        model = with_labels(model, flags.labels)
    saved_model.save(flags.output, model)
    model = saved_model.load(flags.output)
    print(f"{flags.output}: {_size(model.weights)}, sha256 {model.content_hash[:16]}…")
    return 0


def export(flags: argparse.Namespace) -> int:
    """Writes a model folder as a checkpoint again."""
    model = saved_model.load(flags.model)
    checkpoint = export_checkpoint(model)
    checkpoints.write(flags.checkpoint, checkpoint, flags.overwrite)
    print(f"{flags.checkpoint}: {_size(checkpoint.state_dict)}")
    if flags.config:
        settings = model.provenance.get("settings")
        config_json.write(flags.config, model.config, settings, flags.overwrite)
        print(f"{flags.config}: the settings of the model")
    return 0


def compare(flags: argparse.Namespace) -> int:
    """Compares JAX and PyTorch on a model, or on a whole release."""
    if flags.release:
        if flags.recording:
            raise InputError("--recording belongs to --model, a release has its own; leave it")
        with tempfile.TemporaryDirectory() as folder:
            return _take_release(flags, Path(folder))
    model = saved_model.load(flags.model)
    given: list[Sample | HeadSample] = []
    if kind_of(model.config) == "foundation":
        given = [samples.noise(flags.windows, flags.seed)]
        if flags.recording:
            given.append(samples.of_night(flags.recording, flags.windows))
    elif flags.recording:
        raise InputError(
            f"{flags.model}: is of kind {kind_of(model.config)}, which is compared on noise alone; "
            "--recording belongs to a base model"
        )
    else:
        given = [samples.noise_for_head(model.config, flags.seed)]
    equal = [parity.report(model, sample, flags.dtype) for sample in given]
    return 0 if all(equal) else 1


def create(flags: argparse.Namespace) -> int:
    """Writes an untrained model of the released size in the published layout."""
    size = published.newborn(flags.kind)
    tells_all = published.of(size) in published.TOLD_BY_CHECKPOINT
    name = "best.pt" if flags.kind == "base" or tells_all else "best.pth"
    checkpoint = create_checkpoint(size, flags.seed)
    checkpoints.write(flags.output / name, checkpoint, flags.overwrite)
    if not tells_all:
        config_json.write(flags.output / "config.json", size, overwrite=flags.overwrite)
        name += " and config.json"
    print(f"{flags.output}: {name}, {_size(checkpoint.state_dict)}, untrained")
    return 0


def _take_release(flags: argparse.Namespace, output: Path) -> int:
    outcomes = Release(flags.release, output, flags.windows, flags.seed, flags.dtype).take()
    print("\n".join(map(str, outcomes)))
    return 1 if any(outcome.state == FAILED for outcome in outcomes) else 0


def _size(arrays: Mapping[str, np.ndarray]) -> str:
    return f"{len(arrays)} entries, {sum(array.size for array in arrays.values()):,} numbers"
