"""The ego-graphs of scored transactions as flat arrays, and how several become one batch."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from gnn.blocks import ROOT, block_plan
from gnn.routing import readonly, route


@dataclass(frozen=True, slots=True)
class EgoBatch:
    """The ego-graphs of B roots as the network reads them: block by block, root by root within a block.

    Attributes:
        features: float32[B, P], the as-of features of each transaction; NaN is missing.
        nodes: float32[N, F], node and link features, all blocks one after another.
        parents: int32[N], position of each node's parent in the node's parent set. The children of
            one parent are contiguous; within a block of one root, parents ascend.
        counts: int32[n_blocks], nodes per block.
        slots: int64[N, 1], where each node's message is pooled. The messages of a level are pooled in one table,
            which has for each of the level's blocks a row for every node of the block's parent set.
        received: float32[rows, 3], of each row of the levels' tables, one table after another: how many messages
            it gets (1 at least), 1 where it gets any, log1p of how many.
        sizes: int64[n], the parts of these arrays; see `gnn.blocks.Sizes`.
    """

    features: NDArray[np.float32]
    nodes: NDArray[np.float32]
    parents: NDArray[np.int32]
    counts: NDArray[np.int32]
    slots: NDArray[np.int64]
    received: NDArray[np.float32]
    sizes: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        entities: tuple[str, ...],
        features: NDArray[np.float32],
        nodes: NDArray[np.float32],
        parents: NDArray[np.int32],
        counts: NDArray[np.int32],
    ) -> Self:
        """The batch of these nodes, with where their messages go."""
        slots, received, sizes = route(entities, parents, counts, len(features))
        return cls(features, nodes, parents, counts, slots, received, sizes)


@dataclass(frozen=True, slots=True)
class EgoStore:
    """The ego-graphs of n transactions, each with its nodes together, in block order.

    Attributes:
        entities: entity types of the plan, the user first.
        nodes: float32[total, F], node and link features.
        parents: int16[total], position of each node's parent within its own ego-graph's parent set
            (0 for level 1).
        counts: uint16[n, n_blocks], nodes per block.
        offsets: int64[n + 1], where each ego-graph's nodes start.

    Raises:
        ValueError: the arrays do not fit each other or the plan.
    """

    entities: tuple[str, ...]
    nodes: NDArray[np.float32]
    parents: NDArray[np.int16]
    counts: NDArray[np.uint16]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        wanted = (
            ("nodes", self.nodes, np.float32, 2),
            ("parents", self.parents, np.int16, 1),
            ("counts", self.counts, np.uint16, 2),
            ("offsets", self.offsets, np.int64, 1),
        )
        for name, array, dtype, dimensions in wanted:
            if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
                raise ValueError(f"{name} must be a C-contiguous {np.dtype(dtype)} array of {dimensions} dimensions")
        total = int(self.offsets[-1]) if len(self.offsets) else -1
        if (
            self.counts.shape[1] != len(block_plan(self.entities))
            or len(self.offsets) != len(self.counts) + 1
            or len(self.nodes) != total
            or len(self.parents) != total
        ):
            raise ValueError("nodes, parents, counts and offsets do not fit each other or the entity types")

    def __len__(self) -> int:
        return len(self.counts)


@lru_cache(maxsize=64)
def _layout(entities: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each block: the first block of its set; the first and one past the last of its parent set (-1: root)."""
    plan = block_plan(entities)
    sets = [block.node_set for block in plan]
    start = [sets.index(block.node_set) for block in plan]
    first = [sets.index(b.parent_set) if b.parent_set != ROOT else -1 for b in plan]
    last = [start + sets.count(b.parent_set) if start >= 0 else -1 for start, b in zip(first, plan, strict=True)]
    return np.array(start, np.int64), np.array(first, np.int64), np.array(last, np.int64)


_SIGNATURE = nb.types.int64(
    readonly(nb.float32, 2),
    readonly(nb.int16, 1),
    readonly(nb.uint16, 2),
    readonly(nb.int64, 1),
    readonly(nb.int64, 1),
    readonly(nb.int64, 1),
    readonly(nb.int64, 1),
    readonly(nb.int64, 1),
    nb.types.Array(nb.float32, 2, "C"),
    nb.types.Array(nb.int32, 1, "C"),
    nb.types.Array(nb.int32, 1, "C"),
)


@nb.njit(_SIGNATURE, nogil=True, cache=True)
def _gather(nodes, parents, counts, offsets, indices, start, first, last, out_nodes, out_parents, out_counts):  # type: ignore[no-untyped-def]
    """Writes the chosen ego-graphs block by block. Returns -1, or the index of an ego-graph whose counts
    or parents do not fit its nodes."""
    n_blocks = counts.shape[1]
    width = nodes.shape[1]
    for i in range(len(indices)):
        for b in range(n_blocks):
            out_counts[b] += counts[indices[i], b]
    # Where each block's next node goes, and its position in its node set (blocks of a set are neighbours).
    row = np.zeros(n_blocks, np.int64)
    position = np.zeros(n_blocks, np.int64)
    for b in range(1, n_blocks):
        row[b] = row[b - 1] + out_counts[b - 1]
        if start[b] < b:
            position[b] = position[b - 1] + out_counts[b - 1]
    for i in range(len(indices)):
        ego = indices[i]
        source = offsets[ego]
        for b in range(n_blocks):
            for _ in range(counts[ego, b]):
                if source >= offsets[ego + 1]:
                    return ego
                parent = np.int64(parents[source])
                if first[b] < 0:
                    parent = np.int64(i)
                else:
                    c = first[b]
                    while c < last[b] and parent >= counts[ego, c]:
                        parent -= counts[ego, c]
                        c += 1
                    if c == last[b] or parent < 0:
                        return ego
                    parent += position[c]
                for f in range(width):
                    out_nodes[row[b], f] = nodes[source, f]
                out_parents[row[b]] = parent
                row[b] += 1
                source += 1
        if source != offsets[ego + 1]:
            return ego
        for b in range(n_blocks):
            position[b] += counts[ego, b]
    return -1


def collate(store: EgoStore, features: NDArray[np.float32], indices: NDArray[np.int64]) -> EgoBatch:
    """The batch of these ego-graphs, in the order of `indices`. Releases the GIL while it copies.

    Args:
        features: float32[n, P], as-of features of the same n transactions as the store.
        indices: int64[B], positions in the store; may repeat.

    Raises:
        IndexError: an index lies outside the store.
        ValueError: the store contradicts itself (a parent that is not there).
    """
    indices = np.ascontiguousarray(indices, np.int64)
    if len(indices) and (indices.min() < 0 or indices.max() >= len(store)):
        raise IndexError(f"an index lies outside the {len(store)} ego-graphs of the store")
    total = int((store.offsets[indices + 1] - store.offsets[indices]).sum())
    if int(store.counts[indices].sum(dtype=np.int64)) != total:
        raise ValueError("the counts of an ego-graph do not add up to its nodes")
    return _collated(store, np.ascontiguousarray(features[indices], np.float32), indices, total)


def collate_all(store: EgoStore, features: NDArray[np.float32]) -> EgoBatch:
    """The batch of all ego-graphs of a store, in their order; otherwise as `collate`."""
    if int(store.counts.sum(dtype=np.int64)) != len(store.nodes):
        raise ValueError("the counts of the ego-graphs do not add up to their nodes")
    if len(store) == 1:  # it stands block by block already, with its parents' positions in their sets
        parents, counts = store.parents.astype(np.int32), store.counts[0].astype(np.int32)
        return EgoBatch.of(store.entities, features, store.nodes, parents, counts)
    return _collated(store, features, np.arange(len(store)), len(store.nodes))


def _collated(store: EgoStore, features: NDArray[np.float32], indices: NDArray[np.int64], total: int) -> EgoBatch:
    nodes = np.empty((total, store.nodes.shape[1]), np.float32)
    parents = np.empty(total, np.int32)
    counts = np.zeros(store.counts.shape[1], np.int32)
    start, first, last = _layout(store.entities)
    wrong = _gather(
        store.nodes, store.parents, store.counts, store.offsets, indices, start, first, last, nodes, parents, counts
    )
    if wrong >= 0:
        raise ValueError(f"ego-graph {wrong}: its counts and parents do not fit its nodes")
    return EgoBatch.of(store.entities, features, nodes, parents, counts)
