"""Reading ahead: the right night for each task, no more than asked for at a time, errors kept."""

import threading

import pytest

from sleepfm_jax.jobs.read_ahead import ReadAhead


@pytest.mark.parametrize("workers", [1, 3])
def test_every_task_gets_its_night_and_few_are_read_at_a_time(workers: int) -> None:
    lock, begun = threading.Lock(), []

    def read(task: int) -> str:
        with lock:
            begun.append(task)
        return f"night {task}"

    with ReadAhead(range(10), read, workers) as ahead:
        for task in range(10):
            assert ahead.take(task) == f"night {task}"
            assert len(begun) <= task + 1 + workers
    assert sorted(begun) == list(range(10))


def test_an_error_comes_where_its_night_is_taken() -> None:
    def read(task: int) -> float:
        return 1 / task

    with ReadAhead([2, 0, 4], read, 2) as ahead:
        assert ahead.take(2) == 0.5
        with pytest.raises(ZeroDivisionError):
            ahead.take(0)
        assert ahead.take(4) == 0.25
