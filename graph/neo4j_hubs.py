"""Hubs: entities with so many transactions that finding the latest of them needs an index.

A relationship is in no order, so an entity's latest transactions are found by looking at all it has. That is quick up
to `HUB` of them. Once an entity has more, each of its transactions gets a small node (`:HubTransaction`) of the
entity's integer id, the time and the sequence number, whose index gives the latest without looking at the others.
"""

import neo4j
import numpy as np
from numpy.typing import NDArray

from graph.neo4j_names import HUB_TRANSACTION, TRANSACTION, quoted
from graph.neo4j_state import Columns
from graph.neo4j_times import micros

HUB = 2_000
"""Most transactions of an entity that are looked at one by one."""


def note_hubs(
    tx: neo4j.ManagedTransaction,
    columns: Columns,
    ids: NDArray[np.int32],
    occurred_at: NDArray[np.int64],
    seq: NDArray[np.int64],
    large: dict[int, list[int]],
) -> None:
    """Keeps the order of hubs' transactions, after some were written.

    Args:
        ids: int32[n, slots] as in `Layout`, of the transactions written.
        occurred_at, seq: int64[n], likewise.
        large: by position of the type, the entities among them that have more than `HUB` transactions now.
    """
    for position, numbers in large.items():
        label, relationship = quoted(columns.types[position].label), quoted(columns.types[position].relationship)
        fresh = {
            number
            for (number,) in tx.run(
                f"UNWIND $numbers AS number MATCH (n:{label} {{number: number}}) WHERE n.hub IS NULL"
                " SET n.hub = true RETURN number",
                numbers=numbers,
            ).values()
        }
        if fresh:
            tx.run(
                f"UNWIND $numbers AS number MATCH (:{label} {{number: number}})-[:{relationship}]-(t:{TRANSACTION})"
                f" CREATE (:{HUB_TRANSACTION} {{hub: number, at: {micros('t.occurred_at')}, seq: t.seq}})",
                numbers=sorted(fresh),
            ).consume()
        mine = ids[:, columns.layout.linked_slots[position]]
        rows = np.flatnonzero(np.isin(mine, [number for number in numbers if number not in fresh]))
        if rows.size:
            tx.run(
                "UNWIND range(0, size($hub) - 1) AS i"
                f" CREATE (:{HUB_TRANSACTION} {{hub: $hub[i], at: $at[i], seq: $seq[i]}})",
                hub=mine[rows].tolist(), at=occurred_at[rows].tolist(), seq=seq[rows].tolist(),
            ).consume()  # fmt: skip


def latest(columns: Columns, position: int) -> str:
    """Cypher for the entity `n` of integer id `$number` and its latest `$limit` transactions `t`, newest first."""
    label = quoted(columns.types[position].label)
    return f"MATCH (n:{label} {{number: $number}}) {latest_of(columns, position)}"


def latest_of(columns: Columns, position: int) -> str:
    """Cypher for the latest `$limit` transactions `t` of an entity `n` that has been matched, newest first."""
    relationship = quoted(columns.types[position].relationship)
    arrow = f"-[:{relationship}]->" if position == 0 else f"<-[:{relationship}]-"
    return (
        f"CALL {{ WITH n WITH n WHERE n.hub IS NULL MATCH (n){arrow}(t:{TRANSACTION})"
        " RETURN t ORDER BY t.occurred_at DESC, t.seq DESC LIMIT $limit UNION ALL"
        f" WITH n WITH n WHERE n.hub MATCH (h:{HUB_TRANSACTION}) WHERE h.hub = n.number"
        " AND h.at IS NOT NULL AND h.seq IS NOT NULL"
        " WITH h ORDER BY h.hub DESC, h.at DESC, h.seq DESC LIMIT $limit"
        f" MATCH (t:{TRANSACTION} {{seq: h.seq}}) RETURN t }}"
    )
