"""Groups of scored transactions that are told apart: kinds of fraud, and how long a user has been known."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnn.scored import Scored
from graph.records import DAY

_NEW: Final = 30


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the scored transactions.

    Attributes:
        name: for JSON.
        title: for people.
        rows: bool[n].
    """

    name: str
    title: str
    rows: NDArray[np.bool_]


def typologies(rows: Scored) -> list[Group]:
    """For each kind of fraud its frauds and all genuine transactions, the most frequent kind first.

    Frauds of other kinds are left out: an alarm for one of them is no false alarm.
    """
    if rows.typology is None:
        return []
    told = rows.typology.filter(rows.fraud)
    counts = sorted(pc.value_counts(told.drop_null()).to_pylist(), key=lambda c: (-c["counts"], c["values"]))
    groups = []
    for name in (count["values"] for count in counts):
        mine = np.asarray(pc.fill_null(pc.equal(rows.typology, name), False).to_numpy(), dtype=bool)
        groups.append(Group(name, name.replace("_", " "), (mine & rows.fraud) | ~rows.fraud))
    return groups


def histories(rows: Scored) -> list[Group]:
    """Transactions by how long their user had been known at the time; without empty ones."""
    age = rows.user_age
    if age is None:
        return []
    groups = [
        Group("first", "a user's first transaction", age <= 0),
        Group("new", f"user new within {_NEW} days", (age > 0) & (age < _NEW * DAY)),
        Group("known", "user known for longer", age >= _NEW * DAY),
    ]
    return [group for group in groups if group.rows.any()]
