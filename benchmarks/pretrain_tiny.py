"""Pretraining on simulated nights, from nothing to a model: how long, how good.

40 nights of an hour are simulated, preprocessed and packed (30 nights to train on, 10 held out),
`sleepfm-jax pretrain` runs the configuration `tiny`, and a linear probe reads sleep stages (30 s)
out of the embeddings of the pretrained and of a newborn model: fitted on training nights, judged on
held-out ones.

    python benchmarks/pretrain_tiny.py [--folder FOLDER] [--config.KEY=VALUE …]

prints the seconds that pretraining took, retrieval among windows of held-out nights, and both
probes. Data that FOLDER has already are used again; the run is made anew.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

NIGHTS, HOURS, SEED = 40, 1, 11
SPLIT = ("--seed", "3", "--fractions", "0.7,0.3,0")  # 30 nights and 10
STEPS = 6  # patches of 5 s in an epoch of 30 s
CONFIG = "--config=sleepfm_jax/configs/pretrain.py:tiny"


def sleepfm(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "sleepfm-jax"), *arguments]
    subprocess.run(command, check=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})


def prepare(folder: Path) -> None:
    nights, hours, seed = map(str, (NIGHTS, HOURS, SEED))
    simulated = ("--nights", nights, "--hours", hours, "--seed", seed, "--workers", "2")
    sleepfm("simulate", *simulated, "--output", str(folder / "nights"))
    recordings = str(folder / "recordings")
    sleepfm("preprocess", "--workers", "2", "--output", recordings, str(folder / "nights" / "edf"))
    if not (folder / "store").exists():
        sleepfm("pack", *SPLIT, "--output", str(folder / "store"), recordings)


def pretrain(folder: Path, changed: list[str]) -> float:
    """Seconds of the whole command, imports and compilation included."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    where = ["--workdir", str(folder / "run"), f"--config.data.path={folder / 'store'}"]
    start = time.perf_counter()
    sleepfm("pretrain", CONFIG, *where, *changed)
    return time.perf_counter() - start


def newborn(folder: Path) -> None:
    """The model that the run began with, as a model folder."""
    import jax

    from sleepfm_jax import saved_model
    from sleepfm_jax.models.foundation import FoundationConfig
    from sleepfm_jax.train.mesh import make_mesh
    from sleepfm_jax.train.optimizers import OptimizerSettings, make
    from sleepfm_jax.train.pretraining import Pretraining
    from sleepfm_jax.train.state import create_state

    settings = json.loads((folder / "run" / "settings.json").read_text())
    task = Pretraining(FoundationConfig(**settings["model"]))
    optimizer = make(OptimizerSettings(), lambda _: 0.0, task.nonnegative)
    mesh = make_mesh(devices=jax.devices()[:1])
    state = create_state(task.build, optimizer, mesh, settings["seed"])
    saved_model.save(folder / "newborn", task.export(state.params, state.extra, {}))


def stages(folder: Path, model: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, M, E) and stages (n,) of the scored 30-s epochs of a split's nights."""
    from sleepfm_jax.input_pipeline import annotations, embeddings, store_index, store_kinds
    from sleepfm_jax.input_pipeline.modality import Modality

    features, truth = [], []
    for night in store_index.read(folder / "store", store_kinds.WINDOWS).of_split(split):
        rows = embeddings.read(folder / f"embeddings_{model}", night.name).sequence
        shape = next(iter(rows.values())).shape
        joined = np.stack([rows.get(m.name, np.zeros(shape)) for m in Modality], axis=1)
        epochs = len(joined) // STEPS
        steps = joined[: epochs * STEPS].reshape(epochs, STEPS, *joined.shape[1:])
        features.append(steps.mean(axis=1))  # (epochs, M, E)
        hypnogram = annotations.read_hypnogram(folder / "nights" / "stages" / f"{night.name}.csv")
        truth.append(hypnogram.at(30.0 * np.arange(epochs) + 15.0))
    x, y = np.concatenate(features), np.concatenate(truth)
    return x[y != annotations.UNSCORED], y[y != annotations.UNSCORED]


def probe(folder: Path, model: str, path: Path) -> dict[str, float]:
    """Macro-F1 of stages read from each modality's embeddings, and from all together."""
    from sleepfm_jax.evaluate.classification import class_scores
    from sleepfm_jax.evaluate.probe import fit
    from sleepfm_jax.input_pipeline.hypnogram import STAGES
    from sleepfm_jax.input_pipeline.modality import Modality

    output = folder / f"embeddings_{model}"
    shutil.rmtree(output, ignore_errors=True)
    recordings = str(folder / "recordings")
    sleepfm("embed", "--model", str(path), "--output", str(output), recordings)
    (x, y), (test_x, test_y) = (stages(folder, model, split) for split in ("train", "validation"))
    parts = {"all": slice(None), **{m.name: slice(m, m + 1) for m in Modality}}
    found = {}
    for name, part in parts.items():
        classifier = fit(x[:, part].reshape(len(x), -1), y, strength=1.0)
        told = classifier.probabilities(
            test_x[:, part].reshape(len(test_x), -1), range(len(STAGES))
        )
        scores = class_scores(test_y, told, np.zeros(len(test_y)), STAGES, resamples=0)
        found[name] = scores.values["macro-F1"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/sleepfm-jax-pretrain-tiny"))
    flags, changed = parser.parse_known_args()
    prepare(flags.folder)
    seconds = pretrain(flags.folder, changed)
    newborn(flags.folder)
    probes = {
        "pretrained": probe(flags.folder, "pretrained", flags.folder / "run" / "model"),
        "newborn": probe(flags.folder, "newborn", flags.folder / "newborn"),
    }
    lines = (flags.folder / "run" / "metrics.jsonl").read_text().splitlines()
    validated = [line for line in map(json.loads, lines) if "validation/loss" in line]
    best = min(validated, key=lambda line: line["validation/loss"])
    got = {name.removeprefix("validation/"): value for name, value in best.items()}
    print(f"pretraining  {seconds:.0f} s for {validated[-1]['step']} steps")
    ranks = {name: got[f"retrieval/{name}"] for name in ("top1", "top5", "median_rank")}
    print(f"retrieval    {'  '.join(f'{name} {value:.3f}' for name, value in ranks.items())}")
    print(f"             among {got['retrieval/candidates']:.0f} windows, at step {best['step']}")
    for name, found in probes.items():
        scores = "  ".join(f"{part} {score:.3f}" for part, score in found.items())
        print(f"macro-F1 of stages, {name:<11} {scores}")


if __name__ == "__main__":
    main()
