"""What amounts are usual among similar transactions: a histogram for every group, on the logarithmic scale.

Amounts are skewed: most are small, a few are a hundred times as large and still nothing special. Distances are
therefore measured between logarithms, so that "three times the median" is as far as "a third of it", and a robust
z-score means the same for a café as for a banquet hall. Amounts of zero are card checks; they have no logarithm, and
are not looked at. A bin is 1/64 of an e-fold (1.6%) wide, so a group takes little memory however many amounts it has.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 64
"""Bins in which an amount grows by the factor e."""
_SHIFT = 12
_SIGMA = 1.4826
"""Of a normal distribution: standard deviation by median absolute deviation."""
_SIGMA_OF_MEAN = 1.2533
"""And by mean absolute deviation, which stands in where most amounts are the same."""
_LEAST_SIGMA = 0.05 * BINS
"""A group is taken to scatter by 5% at least: differences below are no news, whatever the others are."""
_IQR = 1.349
"""Of a normal distribution: interquartile range by standard deviation."""

Ids = NDArray[np.int32]
Floats = NDArray[np.float64]


def scaled(amounts: NDArray[np.int64]) -> Floats:
    """Amounts above zero (hundredths) on the scale of the bins."""
    return np.log(amounts.astype(np.float64)) * BINS


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual in groups, on the scale of the bins, one row a group.

    Attributes:
        level: how many columns the amounts compared with agree in; -1 where there are not enough to compare with.
        median, low, high: the median and the quartiles.
        sigma, iqr: how much they scatter: robust standard deviation and interquartile range.
    """

    level: NDArray[np.int8]
    median: Floats
    low: Floats
    high: Floats
    sigma: Floats
    iqr: Floats


class AmountGroups:
    """Histograms of amounts by group. A group is named by integer ids, -1 for a missing one."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._code: dict[bytes, int] = {}
        self._ids: list[Ids] = []
        self._keys = np.empty(0, dtype=np.int64)
        self._counts = np.empty(0, dtype=np.int64)

    def ids(self, code: int) -> Ids:
        """The ids of a group."""
        return self._ids[code]

    def put(self, groups: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        """Takes groups as `of` gives them."""
        keys, counts = [self._keys], [self._counts]
        for ids, bins, rows in groups:
            code = self._coded(np.frombuffer(ids, dtype=np.int32))
            keys.append(np.int64(code << _SHIFT) | np.frombuffer(bins, dtype=np.int16).astype(np.int64))
            counts.append(np.frombuffer(rows, dtype=np.int64))
        self._merge(np.concatenate(keys), np.concatenate(counts))

    def of(self, codes: NDArray[np.int32]) -> Iterable[tuple[bytes, bytes, bytes]]:
        """Groups to be kept: ids, bins and counts of each."""
        start = np.searchsorted(self._keys, codes.astype(np.int64) << _SHIFT)
        end = np.searchsorted(self._keys, (codes.astype(np.int64) + 1) << _SHIFT)
        bins = (self._keys & ((1 << _SHIFT) - 1)).astype(np.int16)
        for code, a, b in zip(codes.tolist(), start.tolist(), end.tolist(), strict=True):
            yield self._ids[code].tobytes(), bins[a:b].tobytes(), self._counts[a:b].tobytes()

    def add(self, ids: Ids, amounts: NDArray[np.int64]) -> NDArray[np.int32]:
        """Adds amounts above zero (n of them) with the ids (n rows) of their groups; returns the groups' codes."""
        first, inverse = _distinct(ids)
        codes = np.array([self._coded(ids[row]) for row in first.tolist()], dtype=np.int32)[inverse]
        keys = (codes.astype(np.int64) << _SHIFT) | scaled(amounts).astype(np.int64)
        keys, counts = np.unique(keys, return_counts=True)
        self._merge(np.concatenate([self._keys, keys]), np.concatenate([self._counts, counts]))
        return codes

    def _coded(self, ids: Ids) -> int:
        code = self._code.setdefault(ids.tobytes(), len(self._ids))
        if code == len(self._ids):
            self._ids.append(ids.copy())
        return code

    def _merge(self, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        self._keys, inverse = np.unique(keys, return_inverse=True)
        self._counts = np.bincount(inverse, weights=counts, minlength=len(self._keys)).astype(np.int64)

    def usual(self, least: int) -> Usual:
        """What is usual for each group by its code: in the group itself, or, where it has fewer than `least`
        amounts or an id is missing, in the wider one without its last column, and so on to all amounts."""
        n = len(self._ids)
        found = Usual(np.full(n, -1, dtype=np.int8), *(np.full(n, np.nan) for _ in range(5)))
        ids = np.stack(self._ids) if n else np.empty((0, self._columns), dtype=np.int32)
        codes, bins = self._keys >> _SHIFT, self._keys & ((1 << _SHIFT) - 1)
        for level in range(self._columns, -1, -1):
            _, wider = _distinct(ids[:, :level])
            keys, inverse = np.unique((wider[codes] << _SHIFT) | bins, return_inverse=True)
            here = _usual(
                keys >> _SHIFT,
                keys & ((1 << _SHIFT) - 1),
                np.bincount(inverse, weights=self._counts).astype(np.float64),
            )
            chosen = (found.level < 0) & (here.level[wider] >= least) & (ids[:, :level] >= 0).all(axis=1)
            found.level[chosen] = level
            for name in ("median", "low", "high", "sigma", "iqr"):
                getattr(found, name)[chosen] = getattr(here, name)[wider[chosen]]
        return found


def _distinct(ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of rows of ids: a row for each distinct one, and which of these each row is."""
    code = np.zeros(len(ids), dtype=np.int64)
    for column in range(ids.shape[1]):
        _, code = np.unique((code << 32) | (ids[:, column].astype(np.int64) + 1), return_inverse=True)
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return first, inverse


@dataclass(frozen=True, slots=True)
class _Counted:
    """As `Usual`, with the number of amounts in the place of the level."""

    level: Floats
    median: Floats
    low: Floats
    high: Floats
    sigma: Floats
    iqr: Floats


def _usual(groups: NDArray[np.int64], bins: NDArray[np.int64], counts: Floats) -> _Counted:
    """Of groups 0, 1, … (sorted), each with bins and how many amounts lie in them."""
    if not len(groups):
        return _Counted(*(np.empty(0) for _ in range(6)))
    total = np.bincount(groups, weights=counts).astype(np.float64)
    middle = bins.astype(np.float64) + 0.5
    low, median, high = (_quantile(middle, counts, total, q) for q in (0.25, 0.5, 0.75))
    away = np.abs(middle - median[groups]).astype(np.float64)
    order = np.lexsort((away, groups))
    mad = _quantile(away[order], counts[order], total, 0.5)
    mean = np.bincount(groups, weights=away * counts).astype(np.float64) / total
    sigma = np.maximum(np.where(mad > 0, mad * _SIGMA, mean * _SIGMA_OF_MEAN), _LEAST_SIGMA)
    return _Counted(total, median, low, high, sigma, np.maximum(high - low, _IQR * _LEAST_SIGMA))


def _quantile(values: Floats, counts: Floats, total: Floats, q: float) -> Floats:
    """The smallest value that at least the share q of a group's counts does not exceed (values sorted by group)."""
    upto = np.cumsum(counts)
    before = np.concatenate([[0.0], np.cumsum(total)[:-1]])
    place = np.searchsorted(upto, before + np.maximum(np.ceil(q * total), 1.0))
    found: Floats = values[place]
    return found
