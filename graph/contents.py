"""What makes two rows of one transaction id the same, in every store."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.store import Outcome


@dataclass(frozen=True, slots=True)
class Content:
    """The content of n transactions. The arrival is left out: a delivery repeated later is still the
    same transaction.

    Attributes:
        occurred_at: int64[n], microseconds UTC.
        amount: int64[n], hundredths.
        currency: n texts or None.
        ids: int32[n, slots], integer ids of the keys.
        numeric: float64[n, numbers], NaN is missing.
    """

    occurred_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    currency: NDArray[np.object_]
    ids: NDArray[np.int32]
    numeric: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> "Content":
        """The content of these rows."""
        return Content(
            self.occurred_at[rows], self.amount[rows], self.currency[rows], self.ids[rows], self.numeric[rows]
        )


def judge(outcomes: NDArray[np.int8], rows: NDArray[np.int64], given: Content, kept: Content) -> None:
    """Sets the outcomes of rows with content `given` whose transaction is there with content `kept`."""
    numeric = (given.numeric == kept.numeric) | (np.isnan(given.numeric) & np.isnan(kept.numeric))
    same = (
        (given.occurred_at == kept.occurred_at)
        & (given.amount == kept.amount)
        & (given.currency == kept.currency)
        & (given.ids == kept.ids).all(axis=1)
        & numeric.all(axis=1)
    )
    outcomes[rows] = np.where(same, Outcome.DUPLICATE, Outcome.CONFLICT)


def first_of(texts: list[str]) -> NDArray[np.int64]:
    """For each row, the first row with the same text."""
    rows = np.arange(len(texts))
    if len(set(texts)) == len(texts):
        return rows
    seen: dict[str, int] = {}
    return np.fromiter((seen.setdefault(text, i) for i, text in enumerate(texts)), dtype=np.int64, count=len(texts))
