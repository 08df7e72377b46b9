"""Command lines as a shell would start them, one after the other in one process of one device."""

import importlib.metadata
import os
import runpy
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUICKLY = "--xla_backend_optimization_level=0"  # a third of the time to compile


def run(folder: Path, lines: Sequence[str], flags: str = QUICKLY, timeout: float = 600) -> None:
    """Runs lines in a folder; the first that fails is told with what was printed.

    Args:
        folder: where a user would stand.
        lines: `python -c CODE`, `python -m MODULE …`, or a script that this package installs.
        flags: XLA's; by default programs are compiled quickly and run slowly.
        timeout: seconds that all may take.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.command_lines", str(folder), *lines],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _start(words: list[str]) -> None:
    program, *arguments = words
    if program != "python":
        sys.argv = words
        (script,) = importlib.metadata.entry_points(group="console_scripts", name=program)
        raise SystemExit(script.load()())
    option, what, *sys.argv[1:] = arguments
    if option == "-c":
        exec(what, {"__name__": "__main__"})
    else:
        assert option == "-m"
        runpy.run_module(what, run_name="__main__", alter_sys=True)


def _main(folder: str, *lines: str) -> None:
    from tests.train.kept_programs import kept_programs

    os.chdir(folder)
    with kept_programs(Path("programs")):  # what one line compiles, the others need not
        for line in lines:
            print(f"$ {line}", flush=True)
            try:
                _start(shlex.split(line))
            except SystemExit as end:
                if end.code not in (0, None):
                    raise


if __name__ == "__main__":
    _main(*sys.argv[1:])
