"""Staging on CPU: an 8-hour night beside the published structure in PyTorch, and from its EDF.

From 5-second embeddings of four modalities to stages, released size, 2 threads. The PyTorch side is
stock `nn.TransformerEncoderLayer` (its fast path) and `nn.LSTM`. Each side runs in its own process,
in turn, so that neither keeps the other's threads spinning:

    python benchmarks/stage_night.py [--runs 9] [--threads 2]

prints the median time of each side and the ratio. Then a simulated EDF of 8 hours and 16 channels
goes all the way to hypnogram files, twice: with what is compiled on the way, and as any later one.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

HOURS, STEPS, MODALITIES, WIDTH = 8, 5760, 4, 128
WARM_UP = 2


def embeddings() -> np.ndarray:
    """(4, 5760, 128) float32."""
    shape = (MODALITIES, STEPS, WIDTH)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def newborn(config: Any) -> Any:
    """An untrained model, the same for both sides."""
    from conversion.models import create_checkpoint, import_checkpoint

    return import_checkpoint(create_checkpoint(config, 0), config, {})


def jax_side() -> Callable[[], np.ndarray]:
    """Stages a night as the job does."""
    from sleepfm_jax.inference import Stager
    from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
    from sleepfm_jax.input_pipeline.modality import Modality
    from sleepfm_jax.models.sleep_stager import StagingConfig

    stager = Stager(newborn(StagingConfig()))
    rows = {m.name: rows for m, rows in zip(Modality, embeddings(), strict=True)}
    night = NightEmbeddings("night", {}, rows, {}, (), {})
    return lambda: stager.stage(night)


def torch_side() -> Callable[[], np.ndarray]:
    """Calls the reference on the night alone, without masks."""
    import torch

    from conversion.models import load_reference
    from sleepfm_jax.models.sleep_stager import StagingConfig

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = load_reference(newborn(StagingConfig()))
    given = torch.from_numpy(embeddings())[None]

    def run() -> np.ndarray:
        with torch.no_grad():
            return torch.softmax(network(given), dim=-1)[0].numpy()

    return run


def edf_side() -> Callable[[], dict[str, float]]:
    """Stages an EDF; seconds by step."""
    from sleepfm_jax.inference import Model, Stager
    from sleepfm_jax.input_pipeline import nights
    from sleepfm_jax.input_pipeline.simulate import simulate_night, write_edf
    from sleepfm_jax.jobs import stage
    from sleepfm_jax.models.foundation import FoundationConfig
    from sleepfm_jax.models.sleep_stager import StagingConfig

    folder = Path(tempfile.mkdtemp())
    write_edf(folder / "night.edf", simulate_night(seed=1, night=0, hours=HOURS))
    model, stager = Model(newborn(FoundationConfig())), Stager(newborn(StagingConfig()))

    def run() -> dict[str, float]:
        marks = [time.perf_counter()]
        night = nights.load(folder / "night.edf", threads=len(os.sched_getaffinity(0)))
        marks.append(time.perf_counter())
        embedded = model.embed(night)
        marks.append(time.perf_counter())
        probabilities = stager.stage(embedded)
        marks.append(time.perf_counter())
        stage.write(folder, "night", probabilities, {})
        marks.append(time.perf_counter())
        names = ("read and convert", "embed", "stage", "write files and picture")
        return dict(zip(names, np.diff(marks).tolist(), strict=True))

    return run


def serve(side: Callable[[], Callable[[], Any]], pipe: Connection, threads: int) -> None:
    """In a child: runs when told to, answers with a `Run`."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    run = side()
    while pipe.recv():
        start, busy = time.perf_counter(), time.process_time()
        result = run()
        pipe.send((time.perf_counter() - start, time.process_time() - busy, result))


Run = tuple[float, float, Any]  # seconds, seconds of processors, result


def alternate(sides: dict[str, Any], runs: int, threads: int) -> dict[str, list[Run]]:
    """Each run of each side, in turn."""
    context = multiprocessing.get_context("spawn")
    pipes, children = {}, []
    for name, side in sides.items():
        pipes[name], theirs = context.Pipe()
        children.append(context.Process(target=serve, args=(side, theirs, threads)))
        children[-1].start()
    found: dict[str, list[Run]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, pipe in pipes.items():
            pipe.send(True)
            found[name].append(pipe.recv())
    for pipe, child in zip(pipes.values(), children, strict=True):
        pipe.send(False)
        child.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    flags = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    sides = {"sleepfm-jax": jax_side, "PyTorch": torch_side}
    found = alternate(sides, WARM_UP + flags.runs, flags.threads)
    print(f"{HOURS} h of embeddings to stages, {flags.threads} threads, {flags.runs} runs")
    medians = {}
    for name, runs in found.items():
        seconds = [taken for taken, _, _ in runs[WARM_UP:]]
        medians[name] = statistics.median(seconds)
        busy = statistics.median(taken for _, taken, _ in runs[WARM_UP:])
        spread = f"({min(seconds):.3f} to {max(seconds):.3f})"
        print(f"{name:<12} {medians[name]:.3f} s  {spread}, processors {busy:.3f} s")
    print(f"ratio        {medians['PyTorch'] / medians['sleepfm-jax']:.2f} times as fast")
    ours, theirs = (found[name][-1][2] for name in sides)
    print(f"difference   {np.abs(ours - theirs).max() / np.abs(theirs).max():.1e} of the largest\n")
    (first, _, steps), (later, _, warm) = alternate({"EDF": edf_side}, 2, flags.threads)["EDF"]
    print(f"{HOURS} h EDF of 16 channels to hypnogram, seconds: first night, any later night")
    for name, taken in steps.items():
        print(f"{name:<26} {taken:6.2f} {warm[name]:6.2f}")
    print(f"{'together':<26} {first:6.2f} {later:6.2f}")


if __name__ == "__main__":
    main()
