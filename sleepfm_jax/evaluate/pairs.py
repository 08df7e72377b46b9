"""Pairs of subjects whose scores are compared: counted for all resamples as a matrix product."""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")

ROWS = 128  # of a block of pairs: few, so that each block starts where its first row does


def ranks(scores: np.ndarray) -> np.ndarray:
    """(n,) float32 whole numbers in the order of the scores, equal ones alike (n < 2^24)."""
    return np.unique(scores, return_inverse=True)[1].astype(np.float32)


def balance(
    rows: np.ndarray, columns: np.ndarray, first: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """How many columns each row is above, less how many it is below.

    Args:
        rows: (E,) float32 ranks.
        columns: (n,) float32 ranks.
        first: (E,) column from which on a row is compared, rising; each below n.
        counts: (n, R) float32 multiplicities of the columns.

    Returns:
        (E, R) float32, exact as long as n < 2^24.
    """
    found = np.empty((len(rows), counts.shape[1]), np.float32)
    for start in range(0, len(rows), ROWS):
        part = slice(start, start + ROWS)
        left = first[start]
        signs = np.subtract.outer(rows[part], columns[left:])  # (e, n − left)
        np.sign(signs, out=signs)
        for sign, own in zip(signs, first[part] - left, strict=True):
            sign[:own] = 0
        np.matmul(signs, counts[left:], out=found[part])
    return found


def weigh(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many columns each row is compared with.

    Args:
        first: (E,) column from which on a row is compared, rising; each below n.
        counts: (n, R) float32 multiplicities of the columns.

    Returns:
        (E, R) float32, exact as long as n < 2^24.
    """
    starts, back = np.unique(first, return_inverse=True)
    found = np.zeros((len(starts) + 1, counts.shape[1]), np.float32)
    stop = len(counts)
    for k, start in reversed(list(enumerate(starts))):  # ten times as fast as `reduceat`
        found[k] = found[k + 1] + counts[start:stop].sum(axis=0)
        stop = start
    return found[back]


def each_label(
    function: Callable[[int], Result],
    labels: int,
    advance: Callable[[], object] | None = None,
    threads: int | None = None,
) -> list[Result]:
    """Calls a function for every label, in threads of one BLAS thread each.

    Two threads with one BLAS thread each beat one with two: what is not a product then runs on
    both cores as well.

    Args:
        function: of a label's number.
        labels: L.
        advance: called as each label is done, as a progress bar's `update`.
        threads: at a time; None: one a core.

    Returns:
        What it returned, by label.
    """

    def one(label: int) -> Result:
        result = function(label)
        if advance:
            advance()
        return result

    with (
        one_blas_thread(),
        ThreadPoolExecutor(threads or cores()) as pool,
    ):
        futures = [pool.submit(one, label) for label in range(labels)]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def one_blas_thread() -> AbstractContextManager:
    """Within it BLAS runs on the core that calls it, and waits for no other."""
    return _libraries().limit(limits=1, user_api="blas")


@functools.cache
def _libraries() -> ThreadpoolController:
    """To look for them takes longer than a label does."""
    return ThreadpoolController()


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
