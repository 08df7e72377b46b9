"""Arrays out of a checkpoint through Orbax, and what it says of a failure in a few words."""

import logging
import sys
import textwrap
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint._src.metadata import array_metadata_store

STATE = "state"  # folder of the arrays within a step


def writer() -> ocp.PyTreeCheckpointHandler:
    """Orbax's handler that saves arrays by name.

    One replica writes a replicated array. By default all write a slice each, which compiles a
    program per device and shape: 12 s at the first save instead of 1 s on 8 emulated devices.
    """
    arrays = ocp.type_handlers.ArrayHandler(
        use_replica_parallel=False,
        array_metadata_store=array_metadata_store.Store(),  # knows which arrays are typed keys
    )
    registry = ocp.type_handlers.create_type_handler_registry((jax.Array, arrays))
    return ocp.PyTreeCheckpointHandler(type_handler_registry=registry)


def restore(folder: Path, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Reads arrays onto devices; waits for no other process, whose files may be whole.

    Args:
        folder: of the arrays.
        wanted: `jax.ShapeDtypeStruct` with sharding by name.

    Returns:
        The arrays by name, and what is wrong with the files, if anything.
    """
    return _read(ocp.StandardCheckpointHandler(), folder, ocp.args.StandardRestore(dict(wanted)))


def restore_on_host(folder: Path, names: Sequence[str]) -> tuple[dict[str, np.ndarray], str | None]:
    """Reads the arrays of these names and no others; of typed keys, their data.

    Returns:
        The arrays by name, and what is wrong with the files, if anything.
    """
    request = ocp.args.PyTreeRestore(
        dict.fromkeys(names, 0),
        restore_args={name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names},
        partial_restore=True,
    )
    return _read(ocp.PyTreeCheckpointHandler(), folder, request)


def reason(error: BaseException) -> str:
    """Why Orbax failed, on one short line: it raises bare exceptions with long texts."""
    if getattr(error, "strerror", None):
        return str(error.strerror)  # type: ignore[attr-defined]
    text = " ".join(str(error).split())
    if "No space left" in text:
        return "no space left on the disk"
    return textwrap.shorten(text, 120, placeholder=" …") or type(error).__name__


def without_tracebacks() -> None:
    """Keeps Orbax from printing the tracebacks of what it then raises."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_no_traceback_of_orbax)
    _ignore_stragglers()


def _read(
    handler: Any, folder: Path, request: ocp.args.CheckpointArgs
) -> tuple[dict[str, Any], str | None]:
    try:
        return handler.restore(folder, args=request), None
    except (MemoryError, jax.errors.JaxRuntimeError):
        raise  # too big for this machine is no damage
    except Exception as error:  # Orbax raises bare exceptions
        return {}, f"its arrays cannot be read: {reason(error)}"


def _no_traceback_of_orbax(entry: logging.LogRecord) -> bool:
    if not entry.exc_info:
        return True
    frames = traceback.walk_tb(entry.exc_info[2])
    places = [entry.pathname, *(frame.f_code.co_filename for frame, _ in frames)]
    return not any("orbax" in place for place in places)


def _ignore_stragglers() -> None:
    """Arrays that are read after another one failed find the event loop closed and print so."""
    previous = sys.unraisablehook
    if getattr(previous, "ignores_stragglers", False):
        return

    def hook(raised: "sys.UnraisableHookArgs") -> None:
        if not (raised.object is None and str(raised.exc_value) == "Event loop is closed"):
            previous(raised)

    hook.ignores_stragglers = True  # type: ignore[attr-defined]
    sys.unraisablehook = hook
