"""Where a run's metrics go: metrics.jsonl, TensorBoard, Weights & Biases if asked, the console."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from sleepfm_jax.errors import InputError
from sleepfm_jax.train.agreement import is_first
from sleepfm_jax.train.metrics_file import MetricsFile

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"  # folder
WANDB_RUN = "wandb_run.txt"  # name of the run at Weights & Biases, so that resuming goes on there
FLUSH = 10.0  # seconds: what TensorBoard is behind by at most

Metrics = Mapping[str, Any]


class Writer(Protocol):
    """One place that metrics go to."""

    def write(self, step: int, metrics: Metrics) -> None:
        """Takes the scalars of a step."""

    def close(self) -> None:
        """Leaves everything written."""


class Loggers:
    """Several writers as one; on processes other than the first they are not called.

    Args:
        writers: in the order in which they are called.
    """

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = list(writers)

    def __enter__(self) -> "Loggers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, step: int, metrics: Metrics) -> None:
        """Gives scalars to all writers; a step's come before its checkpoint is saved.

        Args:
            step: training steps taken.
            metrics: scalars by name, such as `train/loss`.

        Raises:
            InputError: a file cannot be written.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        for writer in self._writers:
            writer.write(step, numbers)

    def close(self) -> None:
        """Closes all writers, even where one of them fails.

        Raises:
            InputError: a file cannot be written.
        """
        with contextlib.ExitStack() as stack:
            for writer in self._writers:
                stack.callback(writer.close)
        self._writers = []


def open_loggers(
    folder: str | os.PathLike[str],
    after: int = 0,
    *,
    wandb_project: str | None = None,
    config: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = print,
) -> Loggers:
    """The loggers of a run; none on processes other than the first.

    Args:
        folder: the run's work directory.
        after: the step that the run goes on from; what later steps had written is cut or hidden.
        wandb_project: at Weights & Biases; None: not used.
        config: the run's settings, for Weights & Biases.
        say: prints a line of the console; None: no console.

    Raises:
        InputError: a file cannot be written, or Weights & Biases is asked for and not installed.
    """
    if not is_first():
        return Loggers([])
    folder = Path(folder)
    writers: list[Writer] = [MetricsFile(folder / METRICS, after)]
    writers.append(TensorBoard(folder / TENSORBOARD, after))
    if wandb_project is not None:
        writers.append(WeightsAndBiases(folder, wandb_project, config or {}))
    if say is not None:
        writers.append(Console(say))
    return Loggers(writers)


class TensorBoard:
    """Writes event files without a thread, whose death on a full disk would hang the run.

    Args:
        folder: for the files of this run and those it resumes.
        after: the step gone on from; TensorBoard hides later ones of earlier files.

    Raises:
        InputError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, after: int) -> None:
        self._folder = folder
        self._flushed = time.monotonic()
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            # The number keeps runs of the same second apart: a file would be overwritten.
            self._events = EventsWriter(str(folder / "events"), f".{os.getpid()}.{after}")
            start = SessionLog(status=SessionLog.START)
            self._events.write_event(
                Event(wall_time=time.time(), step=after + 1, session_log=start)
            )
            self._events.flush()

    def write(self, step: int, metrics: Metrics) -> None:
        """Takes the scalars of a step."""
        with self._told():
            for name, value in metrics.items():
                summary = scalar(name, value)
                self._events.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            if time.monotonic() - self._flushed > FLUSH:
                self._events.flush()
                self._flushed = time.monotonic()

    def close(self) -> None:
        """Leaves everything written."""
        with self._told():
            self._events.close()

    @contextlib.contextmanager
    def _told(self) -> Any:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._folder}: cannot be written ({error.strerror}); free some space, then run "
                "the same command again"
            ) from error


class WeightsAndBiases:
    """Sends metrics to Weights & Biases; `WANDB_MODE=offline` keeps them in the work directory.

    Args:
        folder: the work directory; a resumed run goes on under the name it finds there.
        project: of the account.
        config: the run's settings.

    Raises:
        InputError: the package is not installed or the run cannot be opened.
    """

    def __init__(self, folder: Path, project: str, config: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise InputError(
                "Weights & Biases is asked for and not installed; run `pip install wandb`, or "
                "leave it out"
            ) from error
        known = folder / WANDB_RUN
        try:
            folder.mkdir(parents=True, exist_ok=True)
            name = known.read_text().strip() if known.exists() else None
            self._run = wandb.init(
                project=project, dir=str(folder), id=name, resume="allow", config=dict(config)
            )
            known.write_text(f"{self._run.id}\n")
        except (wandb.Error, OSError) as error:
            raise InputError(
                f"Weights & Biases cannot be used ({error}); set WANDB_MODE=offline to send the "
                "metrics later, or leave it out"
            ) from error

    def write(self, step: int, metrics: Metrics) -> None:
        """Takes the scalars of a step."""
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        """Leaves everything written."""
        self._run.finish()


class Console:
    """Prints the main metrics on a line: those named `part/metric`, not the terms below them.

    Args:
        say: prints a line, such as a progress bar's own way to.
    """

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self._say = say

    def write(self, step: int, metrics: Metrics) -> None:
        """Takes the scalars of a step."""
        main = [f"{name} {value:.4g}" for name, value in metrics.items() if name.count("/") < 2]
        self._say("  ".join([f"step {step}", *main]))

    def close(self) -> None:
        """Nothing is left to write."""
