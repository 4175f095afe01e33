"""Sums over transactions by entity, and by user and entity."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of n groups of transactions.

    Attributes:
        keys: int64[n], the groups, ascending.
        transactions, amount, first_at, last_at, fraud_known: int64[n].
    """

    keys: NDArray[np.int64]
    transactions: NDArray[np.int64]
    amount: NDArray[np.int64]
    first_at: NDArray[np.int64]
    last_at: NDArray[np.int64]
    fraud_known: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        keys: NDArray[np.int64],
        occurred_at: NDArray[np.int64],
        amount: NDArray[np.int64],
        fraud: NDArray[np.bool_],
    ) -> "Sums":
        """Sums of the rows by their keys."""
        if not keys.size:
            none = np.zeros(0, dtype=np.int64)
            return cls(none, none, none, none, none, none)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        ends = np.append(starts[1:], len(keys))
        when = occurred_at[order]
        return cls(
            keys[starts],
            ends - starts,
            np.add.reduceat(amount[order], starts),
            np.minimum.reduceat(when, starts),
            np.maximum.reduceat(when, starts),
            np.add.reduceat(fraud[order].astype(np.int64), starts),
        )
