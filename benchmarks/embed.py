"""Embedding on CPU: ours beside the published structure in PyTorch.

8 windows (5 min) of 13 channels (6 BAS, 4 RESP, 1 EKG, 2 EMG), the released size, 2 threads. The
PyTorch side is stock `nn.TransformerEncoderLayer` with its fast path, four calls, one a modality.
Each side runs in its own process, in turn, so that neither keeps the other's threads spinning:

    python benchmarks/embed.py [--runs 9] [--threads 2]

prints the median time of each side and the ratio.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

WINDOWS, PATCHES = 8, 60
CHANNELS = (6, 4, 1, 2)  # of BAS, RESP, EKG, EMG
WARM_UP = 3


def signals() -> np.ndarray:
    """(8, 13, 38400) float32."""
    shape = (WINDOWS, sum(CHANNELS), PATCHES * 640)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def jax_side() -> Callable[[], np.ndarray]:
    """Embeds the 8 windows as one night of 40 minutes, as the job does."""
    from conversion.models import create_checkpoint, import_checkpoint
    from sleepfm_jax.inference import Model
    from sleepfm_jax.input_pipeline.nights import Night
    from sleepfm_jax.models.foundation import FoundationConfig

    config = FoundationConfig()
    model = Model(import_checkpoint(create_checkpoint(config, 0), config, {}))
    modality = np.repeat(np.arange(4, dtype=np.int8), CHANNELS)
    joined = np.concatenate(list(signals()), axis=1)  # (13, 8·38400)
    night = Night("night", ("",) * len(modality), modality, joined, {}, ())

    def run() -> np.ndarray:
        embedded = model.embed(night).sequence  # {name: (480, E)}
        return np.stack([rows.reshape(WINDOWS, PATCHES, -1) for rows in embedded.values()])

    return run


def torch_side() -> Callable[[], np.ndarray]:
    """Calls the reference once a modality on all 8 windows."""
    import torch

    from conversion.models import create_checkpoint, import_checkpoint, load_reference
    from sleepfm_jax.models.foundation import FoundationConfig

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = FoundationConfig()
    network = load_reference(import_checkpoint(create_checkpoint(config, 0), config, {}))
    parts = np.split(signals(), np.cumsum(CHANNELS)[:-1], axis=1)
    inputs = [torch.from_numpy(np.ascontiguousarray(part)) for part in parts]

    def run() -> np.ndarray:
        with torch.no_grad():
            return np.stack([network(part)[1].numpy() for part in inputs])

    return run


def serve(side: Callable[[], Callable[[], np.ndarray]], pipe: Connection, threads: int) -> None:
    """In a child: runs when told to, answers with seconds; at last with the embeddings."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    run = side()
    while pipe.recv():
        start = time.perf_counter()
        result = run()
        pipe.send((time.perf_counter() - start, result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    flags = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    context = multiprocessing.get_context("spawn")
    pipes, children = {}, []
    for name, side in (("sleepfm-jax", jax_side), ("PyTorch", torch_side)):
        pipes[name], theirs = context.Pipe()
        children.append(context.Process(target=serve, args=(side, theirs, flags.threads)))
        children[-1].start()
    seconds: dict[str, list[float]] = {name: [] for name in pipes}
    results = {}
    for _ in range(WARM_UP + flags.runs):
        for name, pipe in pipes.items():
            pipe.send(True)
            taken, results[name] = pipe.recv()
            seconds[name].append(taken)
    for pipe, child in zip(pipes.values(), children, strict=True):
        pipe.send(False)
        child.join()
    medians = {name: statistics.median(taken[WARM_UP:]) for name, taken in seconds.items()}
    ours, theirs = results["sleepfm-jax"], results["PyTorch"]
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(
        f"{WINDOWS} windows of {sum(CHANNELS)} channels, {flags.threads} threads, {flags.runs} runs"
    )
    for name, median in medians.items():
        low, high = min(seconds[name][WARM_UP:]), max(seconds[name][WARM_UP:])
        print(f"{name:<12} {median:.3f} s  ({low:.3f} to {high:.3f})")
    print(f"ratio        {medians['PyTorch'] / medians['sleepfm-jax']:.2f} times as fast")
    print(f"difference   {error:.1e} of the largest value")


if __name__ == "__main__":
    main()
