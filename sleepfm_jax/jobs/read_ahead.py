"""Reads the coming nights in threads, so that an accelerator need not wait for files."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Task = TypeVar("Task")
Night = TypeVar("Night")


class ReadAhead(Generic[Task, Night]):
    """A context manager that reads the nights of tasks, a few at a time, in their order.

    Args:
        tasks: hashable, each to be taken once and in this order.
        read: reads the night of a task; what it raises is raised where the night is taken.
        workers: nights that are read at a time.
    """

    def __init__(self, tasks: Iterable[Task], read: Callable[[Task], Night], workers: int) -> None:
        self._coming = iter(tasks)
        self._read = read
        self._pool = ThreadPoolExecutor(workers)
        self._reading: dict[Task, Future[Night]] = {}
        for _ in range(workers):
            self._submit()

    def __enter__(self) -> "ReadAhead[Task, Night]":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, task: Task) -> Night:
        """The night of the next task."""
        night = self._reading.pop(task).result
        self._submit()
        return night()

    def _submit(self) -> None:
        for task in self._coming:
            self._reading[task] = self._pool.submit(self._read, task)
            return
