"""`sleepfm-jax COMMAND …`: dispatch, exit status, and one sentence where something goes wrong."""

import importlib
import importlib.metadata
import subprocess
import sys
import types
from collections.abc import Callable

import pytest

from sleepfm_jax import main
from sleepfm_jax.errors import InputError
from sleepfm_jax.version import __version__

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[list[str]], int]], None]:
    """Makes `sleepfm-jax try` run a function."""

    def install(run: Callable[[list[str]], int]) -> None:
        module = types.ModuleType("sleepfm_jax.commands.try")
        module.main = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(main.COMMANDS, "try", "for tests")

    return install


def test_a_command_gets_the_rest_and_gives_the_status(command: Callable[..., None]) -> None:
    seen: list[list[str]] = []

    def run(rest: list[str]) -> int:
        seen.append(rest)
        return 1

    command(run)
    assert main.main(["try", "--help", "night.edf"]) == 1
    assert seen == [["--help", "night.edf"]]


def test_arguments_are_the_process_s_unless_given(
    command: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    command(len)
    monkeypatch.setattr(sys, "argv", ["sleepfm-jax", "try", "a", "b", "c"])
    assert main.main() == 3


@pytest.mark.parametrize("argument", ["--help", "-h", "help"])
def test_help_lists_every_command(argument: str, capsys: Capture) -> None:
    assert main.main([argument]) == 0
    out = capsys.readouterr().out
    for name, summary in main.COMMANDS.items():
        assert f"  {name:<12}{summary}\n" in out
    assert "sleepfm-jax COMMAND --help" in out


def test_nothing_asked_is_wrong_use_that_teaches(capsys: Capture) -> None:
    assert main.main([]) == 2
    assert capsys.readouterr().out.startswith("usage: sleepfm-jax COMMAND")


def test_version(capsys: Capture) -> None:
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"sleepfm-jax {__version__}\n"
    assert importlib.metadata.version("sleepfm-jax") == __version__


def test_an_unknown_command_is_named(capsys: Capture) -> None:
    assert main.main(["emded", "--help"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("sleepfm-jax: no command 'emded'\n")
    assert "  embed " in output.err


def test_unusable_input_is_one_line_on_stderr(
    command: Callable[..., None], capsys: Capture
) -> None:
    def run(_: list[str]) -> int:
        raise InputError("night.edf is cut short: copy it again")

    command(run)
    assert main.main(["try"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "sleepfm-jax try: night.edf is cut short: copy it again\n"


def test_an_interruption_is_one_line_on_stderr(
    command: Callable[..., None], capsys: Capture
) -> None:
    def run(_: list[str]) -> int:
        raise KeyboardInterrupt

    command(run)
    assert main.main(["try"]) == 130
    assert capsys.readouterr().err == "sleepfm-jax try: interrupted; run it again to go on\n"


def test_a_fault_of_ours_is_not_hidden(command: Callable[..., None]) -> None:
    def run(_: list[str]) -> int:
        raise ZeroDivisionError

    command(run)
    with pytest.raises(ZeroDivisionError):
        main.main(["try"])


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As in `sleepfm-jax inspect … | head`."""
    code = """
import sys, types
from sleepfm_jax import main
module = types.ModuleType("sleepfm_jax.commands.try")
module.main = lambda rest: [print(n) for n in range(100_000)] and 0
sys.modules[module.__name__] = module
main.COMMANDS["try"] = ""
sys.exit(main.main(["try"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_teaches(name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its --help says what it does and shows an example that names it."""
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        main.main([name, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: sleepfm-jax {name} ")
    assert f"\n  sleepfm-jax {name} " in out[out.index("example") :]
    module = importlib.import_module(f"sleepfm_jax.commands.{name}")
    assert f"sleepfm-jax {name}" in (module.__doc__ or "")


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_refuses_unknown_flags(name: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main([name, "--no-such-flag"])
    assert stop.value.code == 2
    assert f"sleepfm-jax {name}: error: " in capsys.readouterr().err


def test_the_console_script_is_this_function() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="sleepfm-jax")
    assert script.load() is main.main
