"""Runs one function over many recordings: in this process, on this machine, or on a cluster.

A recording that fails is listed in failures.csv and never stops the others.
"""

import contextlib
import csv
import dataclasses
import functools
import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Literal, TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from sleepfm_jax import atomic
from sleepfm_jax.errors import InputError

log = logging.getLogger(__name__)

Task = TypeVar("Task")

KILLED = "the process working on it was killed, as when memory runs out: use fewer --workers"
CLUSTER_TASKS = 1000  # handed to a cluster at a time


@dataclasses.dataclass
class Summary:
    """What became of the tasks.

    Attributes:
        done: how many were done.
        skipped: (name, reason) of those that needed nothing.
        failed: (name, reason) of those that could not be done.
        seconds: that all took together.
    """

    done: int = 0
    skipped: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    failed: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    @property
    def counts(self) -> str:
        """As in "3 done, 1 skipped, 0 failed"."""
        return f"{self.done} done, {len(self.skipped)} skipped, {len(self.failed)} failed"

    @property
    def status(self) -> int:
        """Exit status of a command: 0 all well, 1 some failed, 2 all failed."""
        if not self.failed:
            return 0
        return 1 if self.done or self.skipped else 2


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one task: done, or skipped or failed for a reason."""

    kind: Literal["done", "skipped", "failed"]
    reason: str = ""
    trace: str = ""


def run(
    function: Callable[[Task], str | None],
    tasks: Sequence[Task],
    output: Path,
    *,
    name: Callable[[Task], str] = str,
    workers: int = 1,
    cluster: str | None = None,
) -> Summary:
    """Runs `function` over all tasks with a progress bar; failures end in `output/failures.csv`.

    Args:
        function: does one task and returns None, or the reason why there was nothing to do;
            with several workers or a cluster it must be picklable, as the tasks.
        tasks: what to do.
        output: folder of failures.csv (columns file, reason), which is there only if a task of
            this run failed.
        name: of a task, for people.
        workers: processes on this machine; with 1 all is done in this process.
        cluster: address of a Dask scheduler, instead of workers.

    Returns:
        What became of the tasks. Ctrl-C ends the running ones and is raised again.

    Raises:
        InputError: the output folder cannot be made, or the cluster not be reached.
    """
    start = time.perf_counter()
    _make_folder(output)
    summary = Summary()
    outcomes = _outcomes(function, tasks, workers, cluster)
    try:
        with (
            contextlib.closing(outcomes),
            logging_redirect_tqdm(),
            tqdm(total=len(tasks), unit="night", disable=not sys.stderr.isatty()) as bar,
        ):
            for task, outcome in outcomes:
                _count(summary, name(task), outcome)
                bar.set_postfix_str(summary.counts, refresh=False)
                bar.update()
    finally:
        _write_failures(output / "failures.csv", summary.failed)
    summary.seconds = time.perf_counter() - start
    return summary


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _count(summary: Summary, name: str, outcome: Outcome) -> None:
    if outcome.kind == "done":
        summary.done += 1
    elif outcome.kind == "skipped":
        summary.skipped.append((name, outcome.reason))
    else:
        summary.failed.append((name, outcome.reason))
        log.debug("%s\n%s", name, outcome.trace)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be made a folder ({error.strerror}): give another --output"
        ) from error


def _write_failures(path: Path, failed: list[tuple[str, str]]) -> None:
    if not failed:
        path.unlink(missing_ok=True)
        return
    try:
        with (
            atomic.replacing(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file).writerows([("file", "reason"), *failed])
    except OSError as error:  # as on a full disk; what failed is still to be told
        log.error("%s cannot be written (%s): make room on the disk", path, error.strerror)


def _outcomes(
    function: Callable[[Task], str | None],
    tasks: Sequence[Task],
    workers: int,
    cluster: str | None,
) -> Generator[tuple[Task, Outcome], None, None]:
    """Yields tasks and what became of them, as they end."""
    if cluster is not None:
        with _dask(cluster) as executor:
            yield from _submit(executor, function, deque(tasks), {}, CLUSTER_TASKS)
    elif workers == 1:
        for task in tasks:
            yield task, _attempt(function, task)
    else:
        yield from _on_this_machine(function, deque(tasks), workers)


def _attempt(function: Callable[[Task], str | None], task: Task) -> Outcome:
    """Does one task; no exception leaves it, which might not survive the way between processes."""
    try:
        reason = function(task)
    except InputError as error:
        return Outcome("failed", str(error), traceback.format_exc())
    except Exception as error:
        return Outcome("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
    return Outcome("skipped", reason) if reason else Outcome("done")


def _on_this_machine(
    function: Callable[[Task], str | None], tasks: deque[Task], workers: int
) -> Iterator[tuple[Task, Outcome]]:
    """A killed worker breaks its pool: what ran then is tried again, each alone, to find whose."""
    while tasks:
        running: dict[Future[Outcome], Task] = {}
        with _processes(function, workers) as pool:
            try:
                yield from _submit(pool, function, tasks, running, workers)
            except BrokenProcessPool:
                log.debug("a worker was killed; trying %d tasks again", len(running))
        for task in running.values():
            with _processes(function, 1) as pool:
                try:
                    yield task, pool.submit(_attempt, function, task).result()
                except BrokenProcessPool:
                    yield task, Outcome("failed", KILLED)


def _submit(
    executor: Executor,
    function: Callable[[Task], str | None],
    tasks: deque[Task],
    running: dict[Future[Outcome], Task],
    limit: int,
) -> Iterator[tuple[Task, Outcome]]:
    """Takes from `tasks`, keeping up to `limit` in `running`.

    Raises:
        BrokenProcessPool: a worker was killed; `running` holds the tasks it may have been.
    """
    while tasks or running:
        while tasks and len(running) < limit:
            future = executor.submit(_attempt, function, tasks[0])
            running[future] = tasks.popleft()
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        broken = None
        for future in finished:
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                broken = error
            elif error:  # of the cluster, for example a worker that was lost
                yield running.pop(future), Outcome("failed", f"{type(error).__name__}: {error}")
            else:
                yield running.pop(future), future.result()
        if broken:
            raise broken


@contextlib.contextmanager
def _processes(function: Callable[[Task], str | None], workers: int) -> Iterator[Executor]:
    """A pool of fresh processes; an interrupt ends them at once, without half-written files."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, _fresh(function), initializer=_obey_parent)
    try:
        yield pool
    except (KeyboardInterrupt, GeneratorExit):
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown()


def _fresh(function: Callable[[Task], str | None]) -> BaseContext:
    """How to start processes that share no threads and locks with this one.

    A fork server has imported what `function` needs once and for all; Windows has none.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    whole = function.func if isinstance(function, functools.partial) else function
    context.set_forkserver_preload(["__main__", whole.__module__])
    return context


def _obey_parent() -> None:
    """In a worker: the terminal's Ctrl-C is the parent's to act on, whose SIGTERM cleans up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextlib.contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise InputError(
            "--cluster needs Dask, which is not installed: pip install 'sleepfm-jax[cluster]'"
        ) from error
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--cluster {address}: no Dask scheduler answers there ({error}): check the address "
            "that `dask scheduler` printed"
        ) from error
    with client, client.get_executor() as executor:
        yield executor
