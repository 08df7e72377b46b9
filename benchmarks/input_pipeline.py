"""Windows ready for the model: from packed shards, and the plain way.

2 simulated nights of 8 hours and 16 channels give 192 windows of 5 minutes. The plain side has one
gzip HDF5 a night, one float16 dataset a channel in 5-minute chunks; it takes windows in random
order, opens each one's file (a cohort has more than can stay open), reads its channels and stacks
them. Each side runs in its own process on one core, in turn; files are in the page cache:

    python benchmarks/input_pipeline.py [--runs 9] [--data FOLDER]

prints each side's median processor time a window, reading, decoding and collation included, and
the ratio.
"""

import argparse
import itertools
import multiprocessing
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import h5py
import numpy as np

from sleepfm_jax.input_pipeline.nights import Night, load

NIGHTS, HOURS, CHANNELS, MONTAGE = 2, 8.0, 16, "compact"
SAMPLES = 38400  # 5 min at 128 Hz
BATCH, RUN = 16, 192  # windows; a run reads every one once
WARM_UP = 2


def make_data(folder: Path) -> None:
    """The nights, packed and as plain HDF5; what is there complete is taken as it is."""
    from sleepfm_jax.input_pipeline import simulate
    from sleepfm_jax.input_pipeline.splits import Splits
    from sleepfm_jax.jobs.pack import pack

    if (folder / "complete").exists():
        return
    (folder / "plain").mkdir(parents=True, exist_ok=True)
    drawn = (simulate.simulate_night(0, k, HOURS, MONTAGE) for k in itertools.count())
    whole = (night for night in drawn if len(night.channels) == CHANNELS)  # no sensor failed
    for night in itertools.islice(whole, NIGHTS):
        simulate.write_night(night, folder)
        recording = load(folder / "edf" / f"{night.name}.edf")
        write_plain(folder / "plain" / f"{night.name}.hdf5", recording)
    splits = Splits(fractions=(1.0, 0.0, 0.0))
    pack([folder / "edf"], folder / "packed", splits=splits, overwrite=True)
    shutil.rmtree(folder / "edf")
    (folder / "complete").touch()


def write_plain(path: Path, night: Night) -> None:
    with h5py.File(path, "w") as file:
        for label, samples in zip(night.labels, night.signals, strict=True):
            file.create_dataset(label, data=samples, chunks=(SAMPLES,), compression="gzip")


def packed_side(folder: Path) -> Iterator[np.ndarray]:
    """Batches of 16 windows without end, (16, 16, 38400) float16."""
    from sleepfm_jax.input_pipeline import batches, windows

    source = windows.open_store(folder / "packed")
    batching = batches.Batching(batch_size=BATCH, slots=CHANNELS, threads=1)
    return (batch["signals"] for batch in batches.pretraining(source, batching))


def plain_side(folder: Path) -> Iterator[np.ndarray]:
    """The same by h5py and `np.stack`."""
    starts = range(0, int(HOURS * 3600 * 128), SAMPLES)
    places = [*itertools.product(sorted((folder / "plain").iterdir()), starts)]
    rng = np.random.default_rng(0)

    def read(path: Path, start: int) -> np.ndarray:
        with h5py.File(path) as file:
            return np.stack([file[label][start : start + SAMPLES] for label in file])

    while True:
        for batch in rng.permutation(len(places)).reshape(-1, BATCH):
            yield np.stack([read(*places[window]) for window in batch])


def cpu_seconds() -> float:
    """Of this process and those it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def settle() -> None:
    """Waits until nothing is read ahead any more."""
    before = -1.0
    while cpu_seconds() - before > 0.003:
        before = cpu_seconds()
        time.sleep(0.05)


def serve(side: Callable[[Path], Iterator[np.ndarray]], folder: Path, pipe: Connection) -> None:
    """In a child: takes batches when told to, answers with processor seconds and a checksum."""
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    batches = side(folder)
    while pipe.recv():
        settle()
        before = cpu_seconds()
        total = 0.0
        for batch in itertools.islice(batches, RUN // BATCH):
            assert batch.shape == (BATCH, CHANNELS, SAMPLES)
            total += batch[:, :, ::500].sum(dtype=np.float64)
        settle()  # as much is read ahead as before
        pipe.send((cpu_seconds() - before, total))
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="of each side (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder to keep the nights in")
    flags = parser.parse_args()
    folder = flags.data or Path(tempfile.gettempdir()) / "sleepfm-jax-benchmark-windows"
    make_data(folder)
    context = multiprocessing.get_context("spawn")
    pipes, children = {}, []
    for name, side in (("plain", plain_side), ("packed", packed_side)):
        pipes[name], theirs = context.Pipe()
        children.append(context.Process(target=serve, args=(side, folder, theirs)))
        children[-1].start()
    taken: dict[str, list[float]] = {name: [] for name in pipes}
    totals = {}
    for _ in range(WARM_UP + flags.runs):
        for name, pipe in pipes.items():
            pipe.send(True)
            seconds, totals[name] = pipe.recv()
            taken[name].append(seconds * 1000 / RUN)
    for pipe, child in zip(pipes.values(), children, strict=True):
        pipe.send(False)
        child.join()
    assert np.isclose(totals["plain"], totals["packed"]), "both sides read the same windows"
    medians = {name: statistics.median(ms[WARM_UP:]) for name, ms in taken.items()}
    print(f"windows of {CHANNELS} channels, {flags.runs} runs of {RUN} windows, one core")
    for name, median in medians.items():
        low, high = min(taken[name][WARM_UP:]), max(taken[name][WARM_UP:])
        print(
            f"{name:<7} {median:6.2f} ms of processor time a window ({low:.2f} to {high:.2f}), "
            f"{1000 / median:4.0f} windows/s a core, {megabytes(folder / name):.0f} MB"
        )
    print(f"ratio   {medians['plain'] / medians['packed']:.1f} times less")


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


if __name__ == "__main__":
    main()
