"""Whoever notices that another process is lost, the last word is how to go on."""

import atexit
import subprocess
import sys

import jax
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import lost_process

GO_ON = "run the same command again on all to go on from the last checkpoint"
FAILURE = "UNKNOWN: Connection closed by peer"


def ended(last: str) -> subprocess.CompletedProcess[str]:
    """A process of its own that does `last`."""
    lines = "import atexit, os, jax", "from sleepfm_jax.train import lost_process", last
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60
    )


def test_only_a_failure_among_several_processes_is_a_lost_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[object] = []
    monkeypatch.setattr(atexit, "register", left.append)
    failure = jax.errors.JaxRuntimeError(FAILURE)
    with pytest.raises(jax.errors.JaxRuntimeError), lost_process.named():
        raise failure
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    memory = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
    with pytest.raises(jax.errors.JaxRuntimeError, match="memory"), lost_process.named():
        raise memory
    assert not left
    with pytest.raises(InputError, match=rf"lost.*closed by peer.*{GO_ON}"), lost_process.named():
        raise failure
    assert left, "JAX would wait for the lost process at the end"


def test_after_a_lost_process_nothing_waits_at_the_end() -> None:
    told = ended(
        f"""
jax.process_count = lambda: 2
atexit.register(os.abort)  # as JAX does, where processes do not end together
try:
    with lost_process.named():
        raise jax.errors.JaxRuntimeError({FAILURE!r})
except lost_process.InputError as error:
    print(error)
"""
    )
    assert told.returncode == lost_process.STATUS, told
    assert told.stderr == ""
    assert GO_ON in told.stdout


def test_an_abort_ends_with_how_to_go_on() -> None:
    told = ended("lost_process.speak_when_aborted(); os.abort()")
    assert told.returncode == lost_process.STATUS, told
    assert told.stderr.startswith("sleepfm-jax: ")
    assert told.stderr.endswith(f"{GO_ON}\n")
