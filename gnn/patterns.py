"""Patterns: what is flagged and what turned out as fraud, by city, other categories, and restaurant."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnn.decided import Decided
from gnn.policy import APPROVE
from gnn.replay import History
from graph.store import Store

MOST: Final = 20
"""Values of one column that are told apart; all others are `other`."""
OTHER: Final = "other"
MISSING: Final = "missing"
_SHOWN: Final = ("restaurant",)
"""Entity types that are places of business, not people, and so may be named in figures."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Decisions on transactions that share a value.

    Attributes:
        column: a categorical column, or an entity type that is a place of business.
        value: one of its values, `other` or `missing`.
        decided, flagged, frauds: numbers of transactions; frauds as known.
        amount, fraud_amount: in units of the currency.
    """

    column: str
    value: str
    decided: int
    flagged: int
    frauds: int
    amount: float
    fraud_amount: float

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def patterns(store: Store, history: History, decided: Decided, label: NDArray[np.int8]) -> list[Pattern]:
    """Patterns over all that was decided; for each column the values with most frauds, then with most transactions.

    Args:
        label: int8[n] of the history's rows, 1 fraud, 0 genuine, -1 not known.
    """
    columns = [
        (k, name) for k, name in enumerate(history.schema.keyed) if name in _SHOWN or name in history.schema.categories
    ]
    fraud = label[decided.rows] == 1
    flagged = decided.band != APPROVE
    amount = history.amount[decided.rows] / 100
    chosen: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for k, name in columns:
        values, where = np.unique(history.ids[decided.rows, k].astype(np.int64), return_inverse=True)
        frauds = np.bincount(where, weights=fraud, minlength=len(values))
        size = np.bincount(where, minlength=len(values))
        order = np.lexsort((values, -size, -frauds))
        order = order[values[order] >= 0][:MOST]
        place = np.full(len(values), MOST)
        place[order] = np.arange(len(order))
        place[values < 0] = MOST + 1
        chosen[name] = values[order], place[where]
    names = _names(store, np.concatenate([ids for ids, _ in chosen.values()]) if chosen else np.empty(0, np.int64))
    found = []
    for name, (ids, place) in chosen.items():
        told = [names[int(i)] for i in ids] + [""] * (MOST - len(ids)) + [OTHER, MISSING]
        counts = [
            np.bincount(place, weights=weights, minlength=MOST + 2)
            for weights in (np.ones(len(place)), flagged, fraud, amount, np.where(fraud, amount, 0.0))
        ]
        for j, value in enumerate(told):
            if counts[0][j]:
                numbers = (int(counts[0][j]), int(counts[1][j]), int(counts[2][j]))
                found.append(Pattern(name, value, *numbers, float(counts[3][j]), float(counts[4][j])))
    return found


def _names(store: Store, ids: NDArray[np.int64]) -> dict[int, str]:
    wanted = set(ids.tolist())
    found: dict[int, str] = {}
    if wanted:
        for chunk in store.entity_keys(min(wanted)):
            inside = [i for i in wanted if chunk.first <= i < chunk.first + len(chunk.keys)]
            found |= {i: chunk.keys[i - chunk.first] for i in inside}
            if len(found) == len(wanted):
                break
    return found
