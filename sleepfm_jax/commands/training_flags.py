"""What `pretrain` and `finetune` take: a configuration file, values that change it, a folder."""

import contextlib
import logging
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from sleepfm_jax.errors import InputError

PACKAGE = Path(__file__).parents[1]


def run(
    command: str,
    usage: str,
    argv: list[str],
    train: Callable[[Any, Path], signal.Signals | None],
) -> int:
    """Reads the flags, trains, and says what came of it.

    Args:
        command: its name.
        usage: printed for `--help`.
        argv: the flags.
        train: with the configuration, in a work directory; returns the signal that stopped it.

    Returns:
        The exit status: 0 when done or stopped by SIGTERM, 130 by Ctrl-C.

    Raises:
        SystemExit: the flags are wrong, or ask for help.
    """
    if not argv or {"--help", "-h"} & set(argv):
        print(usage, end="")
        raise SystemExit(0 if argv else 2)
    config, workdir = _read(command, argv)
    logging.getLogger("absl").setLevel(logging.WARNING)
    stopped_by = train(config, workdir)
    if stopped_by is None:
        print(f"{workdir}: done; the model is {workdir / 'model'}")
        return 0
    print(f"{workdir}: saved after {stopped_by.name}; run the same command again to go on")
    return 128 + signal.SIGINT if stopped_by == signal.SIGINT else 0


def split_task(
    config: Any, known: Sequence[str], default: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Which task a configuration is of, and its other values.

    Args:
        config: as read.
        known: tasks of the command.
        default: of a configuration that names none.

    Raises:
        InputError: the task is another.
    """
    values = config.to_dict()
    task = values.pop("task", default)
    if task not in known:
        raise InputError(
            f"the configuration's task is {task!r}: choose from {', '.join(known)}, or another "
            "command (`sleepfm-jax pretrain` and `finetune` share the configurations)"
        )
    return task, values


def _read(command: str, argv: list[str]) -> tuple[Any, Path]:
    """The configuration and the work directory."""
    values = flags.FlagValues()
    config = config_flags.DEFINE_config_file("config", None, "", flag_values=values)
    workdir = flags.DEFINE_string("workdir", None, "", flag_values=values)
    try:
        with _command_line([f"sleepfm-jax {command}", *map(_from_anywhere, argv)]) as words:
            _refuse_missing_file(words)
            rest = values(words)
    except Exception as error:  # a configuration is a program: it raises what it likes
        raise _wrong_use(command, _line(error)) from error
    if len(rest) > 1 or not values["config"].present or not workdir.value:
        raise _wrong_use(
            command, "give --config=FILE.py:VARIANT and --workdir=DIR, and flags alone"
        )
    return config.value, Path(workdir.value)


@contextlib.contextmanager
def _command_line(words: list[str]) -> Iterator[list[str]]:
    """ml_collections looks for `--config.KEY` in `sys.argv`, whatever it is given to parse."""
    before, sys.argv = sys.argv, words
    try:
        yield words
    finally:
        sys.argv = before


def _refuse_missing_file(words: list[str]) -> None:
    """ml_collections would tell of another fault, or later."""
    for word in words:
        file = word.removeprefix("--config=").split(":")[0]
        if word.startswith("--config=") and not Path(file).is_file():
            raise FileNotFoundError(f"{file} cannot be read")


def _from_anywhere(flag: str) -> str:
    """Our own configurations are found in whatever folder one stands."""
    file = flag.removeprefix("--config=").split(":")[0]
    if not flag.startswith("--config=sleepfm_jax/") or Path(file).exists():
        return flag
    return flag.replace("sleepfm_jax", str(PACKAGE), 1)


def _wrong_use(command: str, why: str) -> SystemExit:
    print(f"sleepfm-jax {command}: error: {why} (see --help)", file=sys.stderr)
    return SystemExit(2)


def _line(error: Exception) -> str:
    """The line of a message that says what is wrong: the last one after a heading."""
    lines = [line.strip() for line in f"{error}".splitlines() if line.strip()]
    lines = lines or [f"the configuration fails with {type(error).__name__}"]
    if isinstance(error, AttributeError | KeyError) and error.args:
        name = re.search(r"\w+", f"{error.args[0]}")  # what follows proposes another name
        return f"the configuration has no value {name[0] if name else error.args[0]}"
    return lines[-1] if lines[0].endswith(":") else lines[0]
