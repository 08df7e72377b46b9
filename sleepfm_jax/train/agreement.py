"""Decisions that all processes of a run take together, so that none waits for one that left.

Every function is called by all processes, in the same order; with one process they cost nothing.
"""

import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

LONGEST_FAULT = 1000  # bytes


def is_first() -> bool:
    """Whether this is the process that writes what is written once."""
    return jax.process_index() == 0


def from_first(value: Any) -> Any:
    """What the first process gave, on all of them; JSON values only, others' are not read."""
    if jax.process_count() == 1:
        return value
    text = np.frombuffer(json.dumps(value).encode() if is_first() else b"", np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.int32(text.size)))
    padded = np.zeros(length, np.uint8)
    padded[: text.size] = text
    sent = np.asarray(multihost_utils.broadcast_one_to_all(padded), np.uint8)
    return json.loads(sent.tobytes())


def any_fault(fault: str | None) -> str | None:
    """The fault that some process met, the same on all of them; None if there is none."""
    if jax.process_count() == 1:
        return fault
    text = np.zeros(LONGEST_FAULT, np.uint8)
    mine = np.frombuffer((fault or "").encode()[:LONGEST_FAULT], np.uint8)
    text[: mine.size] = mine
    for row in np.asarray(multihost_utils.process_allgather(text), np.uint8):
        if found := row.tobytes().rstrip(b"\0"):
            return found.decode(errors="ignore")
    return None
