"""A training step: ours beside the published structure in PyTorch.

8 windows (5 min) of 13 channels (6 BAS, 4 RESP, 1 EKG, 2 EMG), the released size, dropout 0.3,
batch statistics, leave-one-out loss, SGD with momentum, float32. The PyTorch side makes four calls
a step, one a modality. Each side runs in its own process, in turn, so that neither keeps the
other's threads spinning; both start from the same weights:

    python benchmarks/train_step.py [--runs 9] [--threads 2] [--batch 8] [--huge-pages]

prints the median time of each side, its processor time, and the ratio. With a GPU that both
libraries see, both run there.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

PATCHES = 60
CHANNELS = (6, 4, 1, 2)  # of BAS, RESP, EKG, EMG
WARM_UP = 3
LEARNING_RATE, MOMENTUM = 1e-3, 0.9


class Step(NamedTuple):
    """What a child says of a step: seconds, processor seconds, those in the kernel, loss."""

    wall: float
    processor: float
    kernel: float
    loss: float


def signals(batch: int) -> np.ndarray:
    """(B, 13, 38400) float32."""
    shape = (batch, sum(CHANNELS), PATCHES * 640)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def jax_side(batch: int) -> Callable[[], float]:
    """The training loop's own step, on one device."""
    import jax

    from conversion.models import create_checkpoint, import_checkpoint
    from sleepfm_jax.models.foundation import FoundationConfig
    from sleepfm_jax.train import optimizers, state, step
    from sleepfm_jax.train.export import start_from
    from sleepfm_jax.train.mesh import make_mesh, put_batch
    from sleepfm_jax.train.pretraining import Pretraining

    config = FoundationConfig()
    task = Pretraining(config)
    mesh = make_mesh(devices=jax.devices()[:1])
    settings = optimizers.OptimizerSettings(momentum=MOMENTUM)
    optimizer = optimizers.make(settings, lambda _: LEARNING_RATE, task.nonnegative)
    abstract = state.abstract_state(task.build, optimizer, mesh)
    now = state.create_state(task.build, optimizer, mesh, seed=0)
    saved = import_checkpoint(create_checkpoint(config, 0), config, {})
    saved.weights["temperature"] = np.zeros((), np.float32)
    now = start_from(now, saved)
    train = step.train_step(state.graphs(task.build).train, task, optimizer, abstract, mesh)
    inputs = put_batch(
        {
            "signals": signals(batch),
            "modality": np.tile(np.repeat(np.arange(4, dtype=np.int8), CHANNELS), (batch, 1)),
            "patches": np.full(batch, PATCHES, np.int32),
        },
        mesh,
    )

    def run() -> float:
        nonlocal now
        now, metrics = jax.block_until_ready(train(now, inputs))
        return float(metrics["loss"])

    return run


def torch_side(batch: int) -> Callable[[], float]:
    """The reference in training mode, one call a modality."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    from conversion.models import create_checkpoint, import_checkpoint, load_reference
    from sleepfm_jax.models.foundation import FoundationConfig

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = FoundationConfig()
    saved = import_checkpoint(create_checkpoint(config, 0), config, {})
    network = load_reference(saved).train().to(device)
    temperature = torch.nn.Parameter(torch.zeros((), device=device))
    parts = np.split(signals(batch), np.cumsum(CHANNELS)[:-1], axis=1)
    inputs = [torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts]
    own = torch.arange(batch, device=device)
    parameters = [*network.parameters(), temperature]
    optimizer = torch.optim.SGD(parameters, LEARNING_RATE, momentum=MOMENTUM)

    def run() -> float:
        optimizer.zero_grad()
        unit = [normalize(network(part)[0], dim=-1) for part in inputs]  # 4 × (B, E)
        loss = torch.zeros((), device=device)
        for m, queries in enumerate(unit):
            others = torch.stack(unit[:m] + unit[m + 1 :]).mean(dim=0)
            logits = queries @ others.T * temperature.exp()  # (B, B)
            loss = loss + cross_entropy(logits, own) + cross_entropy(logits.T, own)
        loss = loss / (2 * len(unit))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            temperature.clamp_(min=0)
        return loss.item()

    return run


def serve(
    side: Callable[[int], Callable[[], float]], pipe: Connection, threads: int, batch: int
) -> None:
    """In a child: takes a step when told to and answers with what it cost."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    run = side(batch)
    while pipe.recv():
        start, before = time.perf_counter(), os.times()
        loss = run()
        wall, after = time.perf_counter() - start, os.times()
        kernel = after.system - before.system
        pipe.send(Step(wall, kernel + after.user - before.user, kernel, loss))


def report(name: str, steps: list[Step]) -> float:
    """Prints a side's medians and returns the median of its seconds."""
    median = Step(*map(statistics.median, zip(*steps, strict=True)))
    low, high = min(step.wall for step in steps), max(step.wall for step in steps)
    print(
        f"{name:<12} {median.wall:.3f} s  ({low:.3f} to {high:.3f}), processor "
        f"{median.processor:.2f} s, of it kernel {median.kernel:.2f} s, loss {steps[-1].loss:.3f}"
    )
    return median.wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="windows (default: %(default)s)")
    parser.add_argument(
        "--huge-pages", action="store_true", help="let glibc ask for large pages, on both sides"
    )
    flags = parser.parse_args()
    if flags.huge_pages:
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    context = multiprocessing.get_context("spawn")
    pipes, children = {}, []
    for name, side in (("sleepfm-jax", jax_side), ("PyTorch", torch_side)):
        pipes[name], theirs = context.Pipe()
        child = context.Process(target=serve, args=(side, theirs, flags.threads, flags.batch))
        children.append(child)
        child.start()
    steps: dict[str, list[Step]] = {name: [] for name in pipes}
    for _ in range(WARM_UP + flags.runs):
        for name, pipe in pipes.items():
            pipe.send(True)
            steps[name].append(pipe.recv())
    for pipe, child in zip(pipes.values(), children, strict=True):
        pipe.send(False)
        child.join()
    print(
        f"{flags.batch} windows of {sum(CHANNELS)} channels, {flags.threads} threads, "
        f"{flags.runs} runs"
    )
    medians = {name: report(name, taken[WARM_UP:]) for name, taken in steps.items()}
    print(f"ratio        {medians['PyTorch'] / medians['sleepfm-jax']:.2f} times as fast")


if __name__ == "__main__":
    main()
