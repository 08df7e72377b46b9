"""Ranks of partners among candidates, in both directions at once, tile by tile of one product.

A tile of similarities stays in the cache while its rows and its columns are counted.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sleepfm_jax.evaluate import pairs

Block = Callable[[slice], np.ndarray]  # some rows of one side, (b, E) float32

TILE = 512  # queries and keys; 1 MB of similarities
STACK = 16  # tiles of queries a call: keys are fetched anew for each stack
TIE = 1e-6  # cosines closer than this are equal: float32 does not tell them apart


def ranks(queries: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every row's rank among all rows, in both directions, as `both_ways` has them.

    Args:
        queries: (N, E) vectors of length 1 or less.
        keys: (N, E) alike; a query's own is in the same row.

    Returns:
        (N,) int32 of queries among keys, and (N,) of keys among queries.
    """
    queries, keys = np.asarray(queries, np.float32), np.asarray(keys, np.float32)
    return both_ways(queries.__getitem__, keys.__getitem__, np.zeros(len(queries), np.int32))


def both_ways(
    queries: Block, keys: Block, groups: np.ndarray, threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of partners: 1 + the number of other candidates that are as near, `TIE` or less apart.

    What is no number counts as near, so that a broken row finds its partner last.

    Args:
        queries: of the rows that a slice names, of length 1 or less; called from threads.
        keys: the other side of the same rows.
        groups: (n,) int32, rising; a row is sought among the rows of its group.
        threads: at a time; None: one a core.

    Returns:
        (n,) int32, the rank of each row's key among the keys of its group, and (n,), of its query
        among the queries. Both compare with one and the same similarity of the two partners.
    """
    first = np.searchsorted(groups, groups, side="left")
    last = np.searchsorted(groups, groups, side="right")
    further = np.zeros((2, len(groups)), np.int32)
    if not len(groups):
        return further[0], further[1]
    tile, stack = _shape(len(groups), int((last - first).max()))
    least = _least(queries, keys, len(groups))
    sides = [functools.partial(_padded, side, least, groups) for side in (queries, keys)]
    count = _compiled(stack, tile, queries(slice(0, 1)).shape[1], groups[0] != groups[-1])
    with ThreadPoolExecutor(threads or pairs.cores()) as pool:
        for rows in _slices(0, len(groups), stack * tile):
            held = [x.reshape(stack, tile, *x.shape[1:]) for x in sides[0](rows, stack * tile)]
            columns = list(_slices(int(first[rows.start]), int(last[rows.stop - 1]), tile))
            turn = functools.partial(_turn, count, jax.device_put(held), sides[1], tile)
            for part, (down, across) in zip(columns, pool.map(turn, columns), strict=True):
                further[0, rows] += down.ravel()[: rows.stop - rows.start]
                further[1, part] += across[: part.stop - part.start]
    ranked = (last - first).astype(np.int32) - further
    return ranked[0], ranked[1]


def _turn(
    count: Callable[..., Any],
    held: list[jax.Array],
    keys: Callable[..., Any],
    tile: int,
    part: slice,
) -> tuple[np.ndarray, np.ndarray]:
    return jax.device_get(count(*held, *keys(part, tile)))


def _shape(n: int, largest: int) -> tuple[int, int]:
    """Rows of a tile, few different ones as each is compiled; tiles of a stack, filled evenly."""
    tile = min(TILE, max(64, 1 << (n - 1).bit_length()))
    tiles = -(-largest // tile)
    return tile, -(-tiles // -(-tiles // STACK))


def _slices(start: int, stop: int, step: int) -> Iterator[slice]:
    for at in range(start, stop, step):
        yield slice(at, min(at + step, stop))


def _least(queries: Block, keys: Block, n: int) -> np.ndarray:
    """(n,) float32; what is less similar than this is further away than the partner."""
    parts = [np.einsum("ne,ne->n", queries(rows), keys(rows)) for rows in _slices(0, n, TILE)]
    return np.concatenate(parts) - np.float32(TIE)


def _padded(
    side: Block, least: np.ndarray, groups: np.ndarray, rows: slice, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, thresholds and groups of some rows, filled up with NaN, which counts nowhere."""
    values = side(rows)
    missing = length - len(values)
    if not missing:
        return values, least[rows], groups[rows]
    return (
        np.pad(values, ((0, missing), (0, 0)), constant_values=np.nan),
        np.pad(least[rows], (0, missing), constant_values=np.nan),
        np.pad(groups[rows], (0, missing)),
    )


@functools.lru_cache(maxsize=16)
def _compiled(stack: int, tile: int, E: int, grouped: bool) -> Callable[..., Any]:
    """Compiled before threads call it: to compile imports, and two that import can stand still."""
    side = [(tile, E), (tile,), (tile,)]
    shapes = [*((stack, *shape) for shape in side), *side]
    dtypes = itertools.cycle([jnp.float32, jnp.float32, jnp.int32])
    arguments = [jax.ShapeDtypeStruct(*pair) for pair in zip(shapes, dtypes, strict=False)]
    return jax.jit(functools.partial(_further, grouped=grouped)).lower(*arguments).compile()


def _further(
    queries: jax.Array,
    query_least: jax.Array,
    query_groups: jax.Array,
    keys: jax.Array,
    key_least: jax.Array,
    key_groups: jax.Array,
    grouped: bool,
) -> tuple[jax.Array, jax.Array]:
    """(stack, tile) keys that are further from each query; (tile,) queries from each key."""

    def one(across: jax.Array, tile: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        vectors, least, groups = tile
        similarity = jnp.matmul(vectors, keys.T, precision="highest")  # (tile, tile)
        of_row, of_column = similarity < least[:, None], similarity < key_least
        if grouped:
            together = groups[:, None] == key_groups
            of_row, of_column = of_row & together, of_column & together
        across = across + of_column.sum(axis=0, dtype=jnp.int32)
        return across, of_row.sum(axis=1, dtype=jnp.int32)

    across, down = jax.lax.scan(
        one, jnp.zeros(len(keys), jnp.int32), (queries, query_least, query_groups)
    )
    return down, across
