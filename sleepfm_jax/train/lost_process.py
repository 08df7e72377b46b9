"""One sentence ends a process whose run has lost another one, whoever notices that first.

A collective fails as an exception in Python; JAX's heartbeats abort the process from C++.
"""

import atexit
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator

import jax

from sleepfm_jax.errors import InputError

STATUS = 2  # as after any InputError
WAY_OUT = (
    "see what the others say, and run the same command again on all to go on from the last "
    "checkpoint"
)
LAST_WORDS = (
    "sleepfm-jax: JAX ended this process for the reason above, most likely because another process "
    f"of this run was lost: {WAY_OUT}\n"
).encode()


@contextlib.contextmanager
def named() -> Iterator[None]:
    """What fails within the block because another process is gone, says so.

    Raises:
        InputError: another process was lost.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1 or "RESOURCE_EXHAUSTED" in str(error):
            raise
        # Runs before JAX's own farewell, which would wait for the lost one and then abort.
        atexit.register(_leave)
        reason = str(error).splitlines()[0][:200]
        raise InputError(
            f"a process of this run was lost, or cannot be reached ({reason}): {WAY_OUT}"
        ) from error


def speak_when_aborted() -> None:
    """From now on an abort ends with `LAST_WORDS` and `STATUS`.

    To be called after `jax.distributed.initialize`; no exception reaches Python where JAX learns
    from its heartbeats, or from a closed connection, that another process is gone.
    """
    ctypes.CDLL(None).signal(signal.SIGABRT, _last_words)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _last_words(_: int) -> None:
    os.write(2, LAST_WORDS)
    os._exit(STATUS)


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STATUS)
