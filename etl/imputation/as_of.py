"""Values as of a moment: what a group had before each of some moments, whatever the order in which it is told.

Asked for are pairs of a group and a moment. Values are added in any order, in parts; a value belongs to the moments
after its own, strictly. Where only the last few count, no more than those are remembered for each pair, so memory
grows with what is asked and not with what is told.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_PRUNED_AT = 2_000_000

Ints = NDArray[np.int64]
Values = NDArray[np.int64] | NDArray[np.float64]


class AsOf:
    """Values of groups before moments.

    Args:
        groups, moments: what is asked for, n pairs; repeats are fine.
        last: how many of the latest values count (those at one moment in order of their size); None for all.
    """

    def __init__(self, groups: Ints, moments: Ints, last: int | None = None) -> None:
        self._moments = np.unique(moments)
        self._asked = np.unique(self._key(groups, np.searchsorted(self._moments, moments)))
        self._last = last
        self._parts: list[tuple[Ints, Ints, Values]] = []
        self._held = 0
        self._pruned = 0

    def _key(self, groups: Ints, ranks: NDArray[np.intp]) -> Ints:
        """One number for a group and the place of a moment; within a group in order of the moments."""
        return groups * (len(self._moments) + 1) + ranks

    def add(self, groups: Ints, times: Ints, values: Values) -> None:
        """Adds values, with the group of each (-1: none that is asked for) and its time."""
        there = groups >= 0
        # The first moment after a value's time: from that one on it counts.
        key = self._key(groups[there], np.searchsorted(self._moments, times[there], side="right"))
        place = np.searchsorted(self._asked, key)
        inside = place < len(self._asked)
        asked = self._asked[np.minimum(place, len(self._asked) - 1)] if len(self._asked) else key
        width = len(self._moments) + 1
        inside &= asked // width == key // width
        if inside.any():
            self._parts.append((place[inside].astype(np.int64), times[there][inside], values[there][inside]))
            self._held += int(inside.sum())
        if self._last is not None and self._held > _PRUNED_AT + 2 * self._pruned:
            self._prune()

    def _prune(self) -> None:
        """Forgets what is too old to count for the first pair after it, and so for all."""
        place, times, values = self._sorted()
        if self._last is not None and len(place):
            end = np.searchsorted(place, place, side="right")
            keep = end - np.arange(len(place)) <= self._last
            place, times, values = place[keep], times[keep], values[keep]
        self._parts = [(place, times, values)]
        self._held = self._pruned = len(place)

    def _sorted(self) -> tuple[Ints, Ints, Values]:
        if not self._parts:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
        place, times, values = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        order = np.lexsort((values, times, place))
        return place[order], times[order], values[order]

    def answers(self, groups: Ints, moments: Ints, of: Callable[[Values], float]) -> NDArray[np.float64]:
        """For pairs that were asked for: what `of` makes of the values before, in order of time; NaN where none is.

        Integers come back whole: they are below 2**53.
        """
        self._prune()
        place, _, values = self._sorted()
        width = len(self._moments) + 1
        key = self._key(groups, np.searchsorted(self._moments, moments))
        own = np.searchsorted(self._asked, key)
        first = np.searchsorted(self._asked, (key // width) * width)
        start, end = np.searchsorted(place, first), np.searchsorted(place, own, side="right")
        if self._last is not None:
            start = np.maximum(start, end - self._last)
        found = np.full(len(key), np.nan)
        spans, inverse = np.unique(np.stack([start, end], axis=1), axis=0, return_inverse=True)
        made = np.array([of(values[a:b]) if b > a else np.nan for a, b in spans.tolist()], dtype=np.float64)
        if len(key):
            found[:] = made[inverse.ravel()]
        return found


def median(values: Values) -> float:
    """The middle value, or what lies between the two middle ones (of integers the whole number below)."""
    ordered = np.sort(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[middle])
    pair = ordered[middle - 1] + ordered[middle]
    return float(pair // 2 if np.issubdtype(ordered.dtype, np.integer) else pair / 2)


def most_frequent(values: Values) -> float:
    """The value seen most often, of several the one seen last."""
    names, last, counts = np.unique(values[::-1], return_index=True, return_counts=True)
    return float(names[np.lexsort((last, -counts))[0]])
