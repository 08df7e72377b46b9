"""What a compiled program moves between devices, read from its optimised HLO text.

A payload is the whole array that a collective gives or takes on one device: a ring sends an
all-reduce's payload about twice, that of the others about once.
"""

import math
import re
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (\(.*?\)|\S+) ([\w\-]+)\(")
_ARRAY = re.compile(r"\b(pred|bf16|[fsuc]\d+)\w*\[([\d,]*)\]")
_CALLED = re.compile(r"\b(?:calls|to_apply|body|condition)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_LISTED = re.compile(r"replica_groups=\{\{([\d,]+)\}")
_IOTA = re.compile(r"replica_groups=\[\d+,(\d+)\]")


class Collective(NamedTuple):
    """One collective operation of a program.

    Attributes:
        kind: one of `KINDS`.
        payload: bytes on each device.
        times: how often it runs in one call of the program.
        devices: that take part together.
        source: the operation of the model that it came from.
    """

    kind: str
    payload: int
    times: int
    devices: int
    source: str


def collectives(hlo: str, devices: int) -> list[Collective]:
    """The collectives of an optimised module, those between a device and itself left out.

    Args:
        hlo: as `compiled.as_text()` gives it.
        devices: that the program runs on.

    Raises:
        ValueError: a collective stands in a loop that does not say how often it runs.
    """
    computations, entry = _computations(hlo)
    found: list[Collective] = []
    _visit(computations, entry, devices, found)
    return [each for each in found if each.devices > 1]


def payloads(found: list[Collective]) -> dict[str, int]:
    """Bytes of each kind in one call of the program."""
    return {kind: sum(c.payload * c.times for c in found if c.kind == kind) for kind in KINDS}


def size_of(shape: str) -> int:
    """Bytes of an array or a tuple of arrays, such as `(f32[8,4]{1,0}, pred[])`."""
    total = 0
    for kind, dimensions in _ARRAY.findall(shape):
        bits = 8 if kind == "pred" else int(re.sub(r"\D", "", kind.removeprefix("b")))
        total += math.prod(int(size) for size in dimensions.split(",") if size) * bits // 8
    return total


def _computations(hlo: str) -> tuple[dict[str, list[str]], str]:
    """Lines of each computation by name, and the name of the entry."""
    found: dict[str, list[str]] = {}
    entry, lines = "", list[str]()
    for line in hlo.splitlines():
        if head := _COMPUTATION.match(line):
            lines = found[head[2]] = []
            entry = head[2] if head[1] else entry
        else:
            lines.append(line)
    return found, entry


def _visit(
    computations: dict[str, list[str]], name: str, devices: int, found: list[Collective]
) -> None:
    for line in computations[name]:
        if not (instruction := _INSTRUCTION.match(line)):
            continue
        shape, operation = instruction.groups()
        kind = operation.removesuffix("-start")
        if kind in KINDS:
            found.append(_collective(kind, shape, operation != kind, line, devices))
            continue
        inside: list[Collective] = []
        called = _CALLED.findall(line)
        called += [n.strip().lstrip("%") for b in _BRANCHES.findall(line) for n in b.split(",")]
        for other in called:
            _visit(computations, other, devices, inside)
        trips = _trips(line) if operation == "while" and inside else 1
        found += [each._replace(times=each.times * trips) for each in inside]


def _trips(line: str) -> int:
    known = _TRIPS.search(line)
    if known is None:
        raise ValueError(f"a loop of unknown length holds collectives: {line.strip()[:200]}")
    return int(known[1])


def _collective(kind: str, shape: str, started: bool, line: str, everyone: int) -> Collective:
    listed, iota = _LISTED.search(line), _IOTA.search(line)
    devices = len(listed[1].split(",")) if listed else int(iota[1]) if iota else everyone
    size = size_of(shape)
    if started and kind in ("all-gather", "reduce-scatter"):  # a tuple of the part and the whole
        size = size * devices // (devices + 1)
    elif started and kind in ("all-to-all", "collective-permute"):  # of equal operand and result
        size //= 2
    elif kind == "reduce-scatter":
        size *= devices
    source = re.search(r'op_name="([^"]*)"', line)
    return Collective(kind, size, 1, devices, source[1] if source else "")
