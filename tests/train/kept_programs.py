"""Compiled programs kept on disk: runs in the same tests, one after the other, compile once."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache


@contextlib.contextmanager
def kept_programs(folder: Path, seconds: float = 0.0) -> Iterator[None]:
    """Within the block programs are kept in a folder, also for other processes of the tests.

    Args:
        folder: for the programs.
        seconds: to compile, from which a program is worth keeping.
    """
    wanted: dict[str, object] = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": seconds,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in wanted}
    _set(wanted)
    try:
        yield
    finally:
        _set(before)


def shared_folder(base: Path) -> Path:
    """One folder for all processes that share the tests.

    Args:
        base: of temporary folders, `tmp_path_factory.getbasetemp()`.
    """
    return (base.parent if base.name.startswith("popen-") else base) / "kept_programs"


def _set(values: dict[str, object]) -> None:
    compilation_cache.reset_cache()  # or JAX stays with what it found at the first program
    for name, value in values.items():
        jax.config.update(name, value)
