"""Sums over transactions: on the nodes of entities, and on the relationships from users to them."""

from typing import Any

import neo4j
import numpy as np
from numpy.typing import NDArray

from graph.neo4j_hubs import HUB
from graph.neo4j_names import quoted
from graph.neo4j_state import Columns
from graph.neo4j_times import from_epoch, split

_ADD = (
    "{0}.transactions = {0}.transactions + $transactions[i], {0}.amount = {0}.amount + $amount[i],"
    " {0}.first_at = CASE WHEN {0}.first_at <= first_at THEN {0}.first_at ELSE first_at END,"
    " {0}.last_at = CASE WHEN {0}.last_at >= last_at THEN {0}.last_at ELSE last_at END"
)


def add_transactions(
    tx: neo4j.ManagedTransaction,
    columns: Columns,
    ids: NDArray[np.int32],
    occurred_at: NDArray[np.int64],
    amount: NDArray[np.int64],
) -> dict[int, list[int]]:
    """Adds new transactions to the sums of what they link.

    Args:
        ids: int32[n, slots] as in `Layout`.
        occurred_at, amount: int64[n].

    Returns:
        By position of the type, the entities among them that have more than `HUB` transactions now.
    """
    large: dict[int, list[int]] = {}
    linked = ids[:, columns.layout.linked_slots]
    for position, kind in enumerate(columns.types):
        rows = np.flatnonzero(linked[:, position] >= 0)
        if not rows.size:
            continue
        others, which = np.unique(linked[rows, position], return_inverse=True)
        found = tx.run(
            f"UNWIND range(0, size($numbers) - 1) AS i MATCH (n:{quoted(kind.label)} {{number: $numbers[i]}})"
            f" WITH n, i, {from_epoch('first')} AS first_at, {from_epoch('last')} AS last_at SET {_ADD.format('n')}"
            " WITH n WHERE n.transactions > $hub RETURN n.number",
            _sums(which, len(others), occurred_at[rows], amount[rows]), numbers=others.tolist(), hub=HUB,
        ).values()  # fmt: skip
        if found:
            large[position] = [number for (number,) in found]
        if position == 0:
            continue
        users, user = np.unique(linked[rows, 0], return_inverse=True)
        pairs, pair = np.unique(user * len(others) + which, return_inverse=True)
        tx.run(
            f"{collect(columns, 0, 'users')} {collect(columns, position, 'others')}"
            " UNWIND range(0, size($user) - 1) AS i"
            f" WITH users[$user[i]] AS u, others[$other[i]] AS o, i,"
            f" {from_epoch('first')} AS first_at, {from_epoch('last')} AS last_at"
            f" MERGE (u)-[r:{quoted(kind.aggregate)}]->(o)"
            " ON CREATE SET r.transactions = $transactions[i], r.amount = $amount[i], r.first_at = first_at,"
            " r.last_at = last_at, r.fraud_known = 0"
            f" ON MATCH SET {_ADD.format('r')}",
            _sums(pair, len(pairs), occurred_at[rows], amount[rows]),
            users=users.tolist(), others=others.tolist(),
            user=(pairs // len(others)).tolist(), other=(pairs % len(others)).tolist(),
        ).consume()  # fmt: skip
    return large


def add_frauds(tx: neo4j.ManagedTransaction, columns: Columns, ids: NDArray[np.int32], sign: NDArray[np.int64]) -> None:
    """Carries transactions that became fraud (1), or no longer are (-1), into the sums of what they link.

    Args:
        ids: int32[n, slots].
        sign: int64[n].
    """
    linked = ids[:, columns.layout.linked_slots]
    for position, kind in enumerate(columns.types):
        rows = np.flatnonzero(linked[:, position] >= 0)
        if not rows.size:
            continue
        label = quoted(kind.label)
        numbers, which = np.unique(linked[rows, position], return_inverse=True)
        change = np.bincount(which, weights=sign[rows]).astype(np.int64)
        tx.run(
            f"UNWIND range(0, size($numbers) - 1) AS i MATCH (n:{label} {{number: $numbers[i]}})"
            " SET n.fraud_known = n.fraud_known + $change[i]",
            numbers=numbers.tolist(), change=change.tolist(),
        ).consume()  # fmt: skip
        if position == 0:
            continue
        pairs, pair = np.unique(linked[rows][:, [0, position]], axis=0, return_inverse=True)
        tx.run(
            "UNWIND range(0, size($users) - 1) AS i"
            f" MATCH (u:{quoted(columns.types[0].label)} {{number: $users[i]}})"
            f" MATCH (o:{label} {{number: $others[i]}})"
            f" MATCH (u)-[r:{quoted(kind.aggregate)}]->(o) SET r.fraud_known = r.fraud_known + $change[i]",
            users=pairs[:, 0].tolist(), others=pairs[:, 1].tolist(),
            change=np.bincount(pair.ravel(), weights=sign[rows]).astype(np.int64).tolist(),
        ).consume()  # fmt: skip


def collect(columns: Columns, position: int, name: str) -> str:
    """Cypher for the list `name` of the entities of a type with the integer ids of the parameter `name`, ascending."""
    return (
        f"CALL {{ UNWIND ${name} AS number"
        f" MATCH (n:{quoted(columns.types[position].label)} {{number: number}})"
        f" WITH n ORDER BY n.number RETURN collect(n) AS {name} }}"
    )


def _sums(
    group: NDArray[np.int64], groups: int, occurred_at: NDArray[np.int64], amount: NDArray[np.int64]
) -> dict[str, Any]:
    """Counts, sums, first and last times of groups, as parameters."""
    total = np.zeros(groups, dtype=np.int64)
    np.add.at(total, group, amount)
    first = np.full(groups, np.iinfo(np.int64).max)
    np.minimum.at(first, group, occurred_at)
    last = np.full(groups, np.iinfo(np.int64).min)
    np.maximum.at(last, group, occurred_at)
    first_s, first_n = split(first)
    last_s, last_n = split(last)
    return {
        "transactions": np.bincount(group, minlength=groups).tolist(), "amount": total.tolist(),
        "first_s": first_s, "first_n": first_n, "last_s": last_s, "last_n": last_n,
    }  # fmt: skip
