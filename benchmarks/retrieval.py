"""Retrieval among all clips, six directions between three modalities: ours beside plain NumPy's.

Plain normalises a copy and multiplies a thousand queries at a time with all keys, once a direction;
ranks are counted without sorting. Sides run in turn, each in a process of its own, and the median
counts; memory is the peak of a process, embeddings included. The results must be equal.

    python benchmarks/retrieval.py [--clips 12000] [--runs 7] [--threads 2] [--full]

`--full` is 90 000 clips, one run of each side, not warmed up. OPENBLAS_CORETYPE in the environment,
as SkylakeX, gives NumPy other kernels than it chooses by itself.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

MODALITIES, WIDTH, FULL = 3, 512, 90_000
ROWS = 1024
DIRECTIONS = [(i, j) for i in range(MODALITIES) for j in range(MODALITIES) if i != j]
SIDES = ("ours", "plain")

Ranks = Iterator[tuple[tuple[int, int], np.ndarray]]


def embeddings(clips: int) -> np.ndarray:
    """(N, M, E) float32 whose modalities share a part."""
    draw = np.random.default_rng(0)
    found = np.empty((clips, MODALITIES, WIDTH), np.float32)
    draw.standard_normal(out=found, dtype=np.float32)
    for start in range(0, clips, ROWS):
        some = found[start : start + ROWS]
        some += 0.45 * draw.standard_normal((len(some), 1, WIDTH), dtype=np.float32)
    return found


def ours(held: np.ndarray) -> Ranks:
    from sleepfm_jax.evaluate import retrieval

    present = np.ones(held.shape[:2], bool)
    for i, j in DIRECTIONS:
        if i < j:
            forth, back = retrieval.pair(held, present, i, j)
            yield (i, j), forth.ranks
            yield (j, i), back.ranks


def plain(held: np.ndarray) -> Ranks:
    sides = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in held.swapaxes(0, 1)]
    similarity = np.empty((ROWS, len(held)), np.float32)
    for i, j in DIRECTIONS:
        own = np.einsum("ne,ne->n", sides[i], sides[j]) - np.float32(1e-6)
        ranks = np.empty(len(held), np.int64)
        for start in range(0, len(held), ROWS):
            part = slice(start, min(start + ROWS, len(held)))
            block = similarity[: part.stop - start]
            np.matmul(sides[i][part], sides[j].T, out=block)
            ranks[part] = np.count_nonzero(block >= own[part, None], axis=1)
        yield (i, j), ranks


def child(side: str, clips: int) -> None:
    run = {"ours": ours, "plain": plain}[side]
    held = embeddings(clips)
    if clips < FULL:
        next(run(held))  # warm-up: one pair of ours, one direction of NumPy's
    start = time.perf_counter(), time.process_time()
    found = dict(run(held))
    taken = time.perf_counter() - start[0], time.process_time() - start[1]
    numbers = [
        [float((ranks <= 1).mean()), float((ranks <= 10).mean()), float(np.median(ranks))]
        for _, ranks in sorted(found.items())
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"seconds": taken[0], "processor": taken[1], "MB": peak, "numbers": numbers}))


def launch(side: str, clips: int, threads: int) -> dict:
    command = [sys.executable, __file__, "--side", side, "--clips", str(clips)]
    limits = {"OPENBLAS_NUM_THREADS": str(threads), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [*command, "--threads", str(threads)],
        env={**os.environ, **limits},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def side_by_side(clips: int, runs: int, threads: int) -> None:
    print(f"{MODALITIES} × {clips} × {WIDTH}, six directions, {threads} threads, {runs} runs each")
    results: dict[str, list[dict]] = {side: [] for side in SIDES}
    for _ in range(runs):
        for side in SIDES:
            results[side].append(launch(side, clips, threads))
    medians = {}
    for side, found in results.items():
        seconds = [one["seconds"] for one in found]
        medians[side] = statistics.median(seconds)
        processor = statistics.median(one["processor"] for one in found)
        print(
            f"  {side:<6}{medians[side]:8.2f} s  ({min(seconds):.2f} to {max(seconds):.2f}), "
            f"{processor:.2f} s of processor time, {max(one['MB'] for one in found):.0f} MB"
        )
    apart = np.subtract(*(results[side][0]["numbers"] for side in SIDES))
    print(f"  {medians['plain'] / medians['ours']:.1f} times as fast")
    print(f"  top-1, top-10 and median rank differ by {abs(apart).max(axis=0)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=12_000, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=7, help="of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="cores used (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help=f"{FULL} clips, one run of each side")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: flags.threads])
    if flags.side:
        child(flags.side, flags.clips)
    elif flags.full:
        side_by_side(FULL, 1, flags.threads)
    else:
        side_by_side(flags.clips, flags.runs, flags.threads)


if __name__ == "__main__":
    main()
