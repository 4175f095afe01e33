"""Where each node's message goes when a level's messages are pooled, as arrays that the network takes as they are.

Worked out by compiled code: as operations of the network it would be a third of what the service spends on one
transaction's.
"""

from functools import lru_cache

import numba as nb
import numpy as np
from numpy.typing import NDArray

from gnn.blocks import ROOT, block_plan, node_sets


def readonly(scalar: nb.types.Type, dimensions: int) -> nb.types.Array:
    """The type of a C-contiguous array that a compiled function only reads; it takes writable ones too."""
    return nb.types.Array(scalar, dimensions, "C", readonly=True)


def route(
    entities: tuple[str, ...], parents: NDArray[np.int32], counts: NDArray[np.int32], roots: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """`slots`, `received` and `sizes` of an `EgoBatch` with these `parents` and `counts`."""
    slots, received, sizes = _route(parents, counts, roots, *_sets(entities))
    return slots, received, sizes


@lru_cache(maxsize=64)
def _sets(entities: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """For each block: its set's number, its parent set's (-1: root), its level's; and how many sets there are."""
    plan = block_plan(entities)
    sets = node_sets(plan)
    levels = sorted({block.level for block in plan})
    own = [sets.index(block.node_set) for block in plan]
    above = [sets.index(block.parent_set) if block.parent_set != ROOT else -1 for block in plan]
    level = [levels.index(block.level) for block in plan]
    return np.array(own, np.int64), np.array(above, np.int64), np.array(level, np.int64), len(sets)


_ROUTED = nb.types.Tuple(
    (nb.types.Array(nb.int64, 2, "C"), nb.types.Array(nb.float32, 2, "C"), nb.types.Array(nb.int64, 1, "C"))
)


@nb.njit(
    _ROUTED(
        readonly(nb.int32, 1),
        readonly(nb.int32, 1),
        nb.int64,
        readonly(nb.int64, 1),
        readonly(nb.int64, 1),
        readonly(nb.int64, 1),
        nb.int64,
    ),
    nogil=True,
    cache=True,
)
def _route(parents, counts, roots, own, above, level, n_sets):  # type: ignore[no-untyped-def]
    """`slots`, `received` and `sizes` of an `EgoBatch`. Parents must lie in their sets."""
    n_blocks = counts.shape[0]
    n_levels = level[-1] + 1
    sizes = np.zeros(n_sets + 2 * n_levels + 2 * n_blocks, np.int64)
    in_level = n_sets
    in_table = in_level + n_levels
    rows = in_table + n_levels
    blocks = rows + n_blocks
    total = 0
    for b in range(n_blocks):
        sizes[own[b]] += counts[b]
        sizes[in_level + level[b]] += counts[b]
        sizes[blocks + b] = counts[b]
    for b in range(n_blocks):
        sizes[rows + b] = roots if above[b] < 0 else sizes[above[b]]
        sizes[in_table + level[b]] += sizes[rows + b]
        total += sizes[rows + b]
    slots = np.empty((parents.shape[0], 1), np.int64)
    received = np.zeros((total, 3), np.float32)
    node = 0
    table = 0
    first = 0
    for b in range(n_blocks):
        if b and level[b] > level[b - 1]:
            table += first
            first = 0
        for _ in range(counts[b]):
            slot = first + parents[node]
            slots[node, 0] = slot
            received[table + slot, 0] += 1
            node += 1
        first += sizes[rows + b]
    for row in range(total):
        count = received[row, 0]
        received[row, 0] = max(count, np.float32(1))
        received[row, 1] = min(count, np.float32(1))
        received[row, 2] = np.log1p(count)
    return slots, received, sizes
