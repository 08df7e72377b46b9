"""A tower of the ICML 2024 system: ours beside the published structure in PyTorch.

32 clips (30 s at 256 Hz) of the 5 channels of `sleep_stages`, the published size, float32: the
forward pass in evaluation, and a training step with dropout 0.5, batch statistics and SGD with
momentum on a loss that every embedding is part of; here with the mask of clips that lack the
modality, as the loop trains. Each side runs in its own process, in turn, so that neither keeps the
other's threads spinning; both start from the same weights:

    python benchmarks/effnet.py [--runs 7] [--threads 2] [--batch 32]

prints the medians of each side, its processor time, and the ratios.
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

CHANNELS, SAMPLES, WIDTH = 5, 7680, 512
WARM_UP = 1
LEARNING_RATE, MOMENTUM = 1e-3, 0.9
WHAT = ("forward", "training step")
Runs = dict[str, Callable[[], float]]


class Cost(NamedTuple):
    """What a child says of a run: seconds, processor seconds, and a number that came out."""

    wall: float
    processor: float
    found: float


def clips(batch: int) -> np.ndarray:
    """(B, 5, 7680) float32."""
    shape = (batch, CHANNELS, SAMPLES)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def share(batch: int) -> np.ndarray:
    """(B, 512): the part of each number of the embeddings in the loss."""
    return np.cos(np.arange(batch * WIDTH, dtype=np.float32)).reshape(batch, WIDTH) / batch


def jax_side(batch: int) -> Runs:
    """The network here, with one compiled program for each thing that is timed."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from conversion.models import create_checkpoint, import_checkpoint
    from sleepfm_jax.models.effnet import SupervisedEffNet, SupervisedEffNetConfig
    from sleepfm_jax.models.weights import insert

    config = SupervisedEffNetConfig(CHANNELS, WIDTH)
    saved = import_checkpoint(create_checkpoint(config, 0), config, {})
    network = insert(lambda: SupervisedEffNet(config, rngs=nnx.Rngs(0)), saved.weights)
    graph, params, rest = nnx.split(network, nnx.Param, ...)
    evaluation = nnx.graphdef(nnx.view(network, deterministic=True, use_running_average=True))
    optimizer = optax.sgd(LEARNING_RATE, MOMENTUM)
    x, weights = jnp.asarray(clips(batch)), jnp.asarray(share(batch))

    @jax.jit
    def forward(params: nnx.State, rest: nnx.State) -> jax.Array:
        return nnx.merge(evaluation, params, rest)(x)

    def total(params: nnx.State, rest: nnx.State, there: jax.Array) -> tuple[jax.Array, nnx.State]:
        model = nnx.merge(graph, params, rest, copy=True)
        return (model(x, there) * weights).sum(), nnx.state(model, nnx.Not(nnx.Param))

    def step(now: tuple, there: jax.Array) -> tuple[tuple, jax.Array]:
        params, rest, momentum = now
        (loss, rest), gradient = jax.value_and_grad(total, has_aux=True)(params, rest, there)
        updates, momentum = optimizer.update(gradient, momentum)
        return (optax.apply_updates(params, updates), rest, momentum), loss

    train = jax.jit(step, donate_argnums=0)
    every = jnp.ones(batch, bool)
    now = jax.tree.map(jnp.copy, (params, rest, optimizer.init(params)))

    def train_once() -> float:
        nonlocal now
        now, loss = jax.block_until_ready(train(now, every))
        return float(loss)

    return dict(zip(WHAT, (lambda: float(forward(params, rest)[0, 0]), train_once), strict=True))


def torch_side(batch: int) -> Runs:
    """The reference in evaluation and in training mode."""
    import torch

    from conversion.models import create_checkpoint, import_checkpoint, load_reference
    from sleepfm_jax.models.effnet import SupervisedEffNetConfig

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = SupervisedEffNetConfig(CHANNELS, WIDTH)
    saved = import_checkpoint(create_checkpoint(config, 0), config, {})
    evaluated, trained = load_reference(saved), load_reference(saved).train()
    x, weights = torch.from_numpy(clips(batch)), torch.from_numpy(share(batch))
    optimizer = torch.optim.SGD(trained.parameters(), LEARNING_RATE, momentum=MOMENTUM)

    def forward() -> float:
        with torch.no_grad():
            return evaluated(x)[0, 0].item()

    def train_once() -> float:
        optimizer.zero_grad()
        loss = (trained(x) * weights).sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    return dict(zip(WHAT, (forward, train_once), strict=True))


def serve(side: Callable[[int], Runs], pipe: Connection, threads: int, batch: int) -> None:
    """In a child: runs what it is told to and answers with what it cost."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    runs = side(batch)
    while what := pipe.recv():
        start, before = time.perf_counter(), time.process_time()
        found = runs[what]()
        pipe.send(Cost(time.perf_counter() - start, time.process_time() - before, found))


def report(name: str, what: str, costs: list[Cost]) -> float:
    """Prints a side's medians and returns the median of its seconds."""
    median = Cost(*map(statistics.median, zip(*costs, strict=True)))
    low, high = min(cost.wall for cost in costs), max(cost.wall for cost in costs)
    print(
        f"{what:<14}{name:<12} {median.wall:.3f} s  ({low:.3f} to {high:.3f}), processor "
        f"{median.processor:.2f} s, found {costs[-1].found:.4f}"
    )
    return median.wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="clips (default: %(default)s)")
    flags = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pipes, children = {}, []
    for name, side in (("sleepfm-jax", jax_side), ("PyTorch", torch_side)):
        pipes[name], theirs = context.Pipe()
        child = context.Process(target=serve, args=(side, theirs, flags.threads, flags.batch))
        children.append(child)
        child.start()
    print(f"{flags.batch} clips of {CHANNELS} channels, {flags.threads} threads, {flags.runs} runs")
    for what in WHAT:
        costs: dict[str, list[Cost]] = {name: [] for name in pipes}
        for _ in range(WARM_UP + flags.runs):
            for name, pipe in pipes.items():
                pipe.send(what)
                costs[name].append(pipe.recv())
        medians = {name: report(name, what, taken[WARM_UP:]) for name, taken in costs.items()}
        print(f"{what:<14}ratio        {medians['PyTorch'] / medians['sleepfm-jax']:.2f}")
    for pipe, child in zip(pipes.values(), children, strict=True):
        pipe.send(None)
        child.join()


if __name__ == "__main__":
    main()
