"""Decision trees laid out for walking, and the compiled code that walks rows down them.

Several trees are walked side by side: each step waits for a node to come from memory, and the steps of one tree wait
for each other, those of different trees do not.
"""

from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

_SIDE_BY_SIDE: Final = 8
_ROWS_AT_A_TIME: Final = 128
"""So many rows stay in the cache while all trees look at them."""

NODE: Final = np.dtype(
    [
        ("value", np.float64),
        ("threshold", np.float32),
        ("left", np.int32),
        ("feature", np.int32),
        ("default_left", np.int32),
    ]
)
"""A node as compiled code reads it; its right child follows its left one, so that a comparison is a step."""


def _readonly(dtype: Any, ndim: int = 1) -> Any:
    """A compiled function that asks for read-only arrays takes writable ones too; not the other way round."""
    return types.Array(dtype, ndim, "C", readonly=True)


_ROWS = _readonly(types.float32, 2)
_NUMBERS = _readonly(types.int32)
_NODES = _readonly(numba.from_dtype(NODE))


@numba.njit(
    types.int64(_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS, types.int32[::1], types.int32[::1], types.int32[::1]),
    nogil=True,
    cache=True,
)
def _lay_out(roots: Any, feature: Any, left: Any, right: Any, order: Any, child: Any, starts: Any) -> Any:
    """Tree by tree and level by level; returns how many nodes there are."""
    size = 0
    for tree in range(roots.shape[0]):
        at = size
        starts[tree] = at
        order[at] = roots[tree]
        size += 1
        while at < size:
            node = order[at]
            child[at] = at
            if feature[node] >= 0:
                child[at] = size
                order[size] = left[node]
                order[size + 1] = right[node]
                size += 2
            at += 1
    return size


def laid_out(
    roots: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    default_left: NDArray[np.bool_],
    value: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[np.int32]]:
    """The trees as `walk_paths` takes them; arrays as of `gnn.trees.Forest`, in which no node has two parents.

    Thresholds are rounded down to float32, as rows are float32: the same rows go left.

    Returns:
        int32[trees], where each tree begins; `NODE`[n]; int32[n], the number that each node had.
    """
    order, child = np.empty(len(feature), np.int32), np.empty(len(feature), np.int32)
    starts = np.empty(len(roots), np.int32)
    size = int(_lay_out(roots, feature, left, right, order, child, starts))
    order = order[:size]
    with np.errstate(over="ignore"):
        below = threshold.astype(np.float32)
    below = np.where(below > threshold, np.nextafter(below, np.float32(-np.inf)), below)
    nodes = np.empty(size, NODE)
    nodes["value"], nodes["threshold"], nodes["left"] = value[order], below[order], child[:size]
    nodes["feature"], nodes["default_left"] = feature[order], default_left[order]
    for array in (starts, nodes, order):
        array.setflags(write=False)
    return starts, nodes, order


@numba.njit(nogil=True)
def _below(nodes: Any, node: Any, x: Any) -> Any:
    """The child that a row with this value goes to."""
    goes_left = (x <= nodes[node].threshold) | ((nodes[node].default_left != 0) & np.isnan(x))
    return nodes[node].left + 1 - np.int32(goes_left)


@numba.njit(types.void(_ROWS, _NUMBERS, _NODES, types.float64[::1]), nogil=True, cache=True)
def sum_leaves(X: Any, starts: Any, nodes: Any, out: Any) -> None:
    """Adds the leaves that each row falls into to `out`, in the order of the trees."""
    at = np.empty(_SIDE_BY_SIDE, np.int32)
    for top in range(0, X.shape[0], _ROWS_AT_A_TIME):
        for first in range(0, starts.shape[0], _SIDE_BY_SIDE):
            trees = min(_SIDE_BY_SIDE, starts.shape[0] - first)
            for row in range(top, min(top + _ROWS_AT_A_TIME, X.shape[0])):
                for j in range(trees):
                    at[j] = starts[first + j]
                moving = True
                while moving:
                    moving = False
                    for j in range(trees):
                        node = at[j]
                        column = nodes[node].feature
                        if column >= 0:
                            at[j] = _below(nodes, node, X[row, np.uint32(column)])
                            moving = True
                for j in range(trees):
                    out[row] += nodes[at[j]].value


@numba.njit(types.void(_ROWS, _NUMBERS, _NODES, types.float64[::1], types.float64[:, ::1]), nogil=True, cache=True)
def walk_paths(X: Any, starts: Any, nodes: Any, out: Any, parts: Any) -> None:
    """As `sum_leaves`; `parts` is added each step's change of value at the column asked about, the root's at the end.

    What a row gets does not depend on the rows beside it.
    """
    at = np.empty(_SIDE_BY_SIDE, np.int32)
    bias = parts.shape[1] - 1
    for top in range(0, X.shape[0], _ROWS_AT_A_TIME):
        for first in range(0, starts.shape[0], _SIDE_BY_SIDE):
            trees = min(_SIDE_BY_SIDE, starts.shape[0] - first)
            for row in range(top, min(top + _ROWS_AT_A_TIME, X.shape[0])):
                for j in range(trees):
                    at[j] = starts[first + j]
                    parts[row, bias] += nodes[at[j]].value
                moving = True
                while moving:
                    moving = False
                    for j in range(trees):
                        node = at[j]
                        column = nodes[node].feature
                        if column >= 0:
                            below = _below(nodes, node, X[row, np.uint32(column)])
                            parts[row, np.uint32(column)] += nodes[below].value - nodes[node].value
                            at[j] = below
                            moving = True
                for j in range(trees):
                    out[row] += nodes[at[j]].value


@numba.njit(types.void(_ROWS, _NUMBERS, _NODES, _readonly(types.float64), types.float64[::1]), nogil=True, cache=True)
def add_cover(X: Any, starts: Any, nodes: Any, weight: Any, cover: Any) -> None:
    """Adds each row's weight to `cover` (float64[nodes]) at all nodes on its paths."""
    for top in range(0, X.shape[0], _ROWS_AT_A_TIME):
        for tree in range(starts.shape[0]):
            for row in range(top, min(top + _ROWS_AT_A_TIME, X.shape[0])):
                node = starts[tree]
                cover[node] += weight[row]
                column = nodes[node].feature
                while column >= 0:
                    node = _below(nodes, node, X[row, np.uint32(column)])
                    cover[node] += weight[row]
                    column = nodes[node].feature
