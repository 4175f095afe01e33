"""The sums that relationships from users to other entities keep, as they are stored."""

from typing import Any

import neo4j
import numpy as np

from graph.neo4j_database import Database
from graph.neo4j_names import quoted
from graph.neo4j_state import Columns
from graph.neo4j_times import micros
from graph.sums import Sums

_FIELDS = f"r.transactions, r.amount, {micros('r.first_at')}, {micros('r.last_at')}, r.fraud_known"


def pair_sums(database: Database, columns: Columns, entity: str) -> Sums:
    """Stored sums of all pairs of a user and an entity of this type, ascending by `user id << 32 | entity id`."""
    kind = columns.types[columns.schema.entities.index(entity)]
    statement = (
        f"MATCH (u:{quoted(columns.types[0].label)})-[r:{quoted(kind.aggregate)}]->(o:{quoted(kind.label)})"
        f" RETURN u.number, o.number, {_FIELDS}"
    )

    def work(tx: neo4j.ManagedTransaction) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([tuple(record) for record in tx.run(statement)], dtype=np.int64).reshape(-1, 7)

    rows = database.read(work)
    keys = (rows[:, 0] << 32) | rows[:, 1]
    order = np.argsort(keys, kind="stable")
    return Sums(keys[order], *rows[order, 2:].T)
