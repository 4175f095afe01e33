"""Counts of amounts, from which quantiles and bars are told without keeping the amounts."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = 14
_HALF = 1 << (_BITS - 1)
_BARS_A_DECADE = 8


@dataclass
class Histogram:
    """Non-negative integers below 2**53, in buckets of 14 significant bits.

    Values below 16,384 are told exactly, larger ones to within 0.013%, and round ones rather than odd ones.
    Sum and largest value are exact.
    """

    count: int = 0
    zeros: int = 0
    total: int = 0
    largest: int = 0
    _buckets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, values: NDArray[np.int64]) -> None:
        """Counts values."""
        if not len(values):
            return
        self.count += len(values)
        self.zeros += int((values == 0).sum())
        self.largest = max(self.largest, int(values.max()))
        # In two parts, as a sum of large amounts can pass 2**63.
        self.total += (int((values >> 20).sum()) << 20) + int((values & 0xFFFFF).sum())
        exponent = np.maximum(np.frexp(values.astype(np.float64))[1] - _BITS, 0)
        buckets = np.bincount(exponent * _HALF + (values >> exponent), minlength=len(self._buckets))
        buckets[: len(self._buckets)] += self._buckets
        self._buckets = buckets

    def quantile(self, share: float) -> int:
        """The smallest counted value with at least this share of the values at or below it.

        Raises:
            ValueError: nothing was counted.
        """
        if not self.count:
            raise ValueError("a quantile of nothing")
        reached = np.cumsum(self._buckets)
        bucket = int(np.searchsorted(reached, max(share * self.count, 1)))
        return min(_roundest(*_range(bucket)), self.largest)

    def bars(self) -> list[dict[str, Any]]:
        """Values above zero in bars of equal width on a logarithmic scale: from (included), to, rows."""
        filled = np.flatnonzero(self._buckets[1:]) + 1
        if not len(filled):
            return []
        lowest = np.array([_range(bucket)[0] for bucket in filled.tolist()])
        place = np.floor(np.log10(lowest) * _BARS_A_DECADE + 1e-9).astype(np.int64)
        rows = np.bincount(place - place[0], weights=self._buckets[filled]).astype(np.int64)
        edges = 10 ** (np.arange(place[0], place[-1] + 2) / _BARS_A_DECADE)
        return [
            {"from": round(float(low), 2), "to": round(float(high), 2), "rows": int(n)}
            for low, high, n in zip(edges[:-1], edges[1:], rows, strict=True)
        ]


def _range(bucket: int) -> tuple[int, int]:
    """The smallest and the largest value of a bucket."""
    exponent = max(bucket // _HALF - 1, 0)
    lowest = (bucket - exponent * _HALF) << exponent
    return lowest, lowest + (1 << exponent) - 1


def _roundest(low: int, high: int) -> int:
    """The value in a range that ends in most zeros: what people pay is rather 2,000.00 than 1,999.99."""
    unit = 1
    while -(-low // (10 * unit)) * 10 * unit <= high and low:
        unit *= 10
    return -(-low // unit) * unit
