"""Bounded reads around one entity, for people: who it is, what it did lately, what it hangs together with."""

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from graph.embedding_records import Overview
from graph.layout import Layout
from graph.sqlite_database import select_in
from graph.walks import Looked, Walk


def find_entity(connection: sqlite3.Connection, layout: Layout, entity: str, key: str) -> int | None:
    """The integer id of an entity; None where its type or key is not known."""
    kind = layout.entity_kind(entity)
    row = connection.execute("SELECT id FROM entities WHERE kind = ? AND key = ?", (kind, key)).fetchone()
    return None if row is None else int(row[0])


def describe(connection: sqlite3.Connection, layout: Layout, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """What is known of entities in all: type, key, attributes, and sums over all their transactions.

    `first_at` and `last_at` (microseconds UTC, event time) are None where there is no transaction.
    """
    names = dict(zip(layout.kinds, layout.schema.keyed, strict=True))
    return {
        id_: {
            "type": names[kind],
            "key": key,
            "attributes": json.loads(attributes) if attributes else {},
            "transactions": transactions or 0,
            "first_at": first_at,
            "last_at": last_at,
            "amount": amount or 0,
            "fraud_known": fraud_known or 0,
        }
        for id_, kind, key, attributes, transactions, first_at, last_at, amount, fraud_known in select_in(
            connection,
            "SELECT e.id, kind, key, attributes, transactions, first_at, last_at, amount, fraud_known"
            " FROM entities e LEFT JOIN totals ON entity = e.id WHERE e.id IN ({})",
            list(ids),
        )
    }


def overviews(
    connection: sqlite3.Connection, layout: Layout, entity: str, keys: Iterable[str], limit: int
) -> dict[str, Overview]:
    """Entities of one type in short, those that are there; bands are those of their latest `limit` transactions."""
    found = {}
    for key in keys:
        id_ = find_entity(connection, layout, entity, key)
        if id_ is not None:
            known = describe(connection, layout, [id_])[id_]
            bands = {transaction["band"] for transaction in recent(connection, layout, id_, limit)}
            found[key] = Overview(
                known["transactions"], known["fraud_known"], known["first_at"], known["last_at"],
                frozenset(bands - {None}),
            )  # fmt: skip
    return found


def recent(connection: sqlite3.Connection, layout: Layout, entity: int, limit: int) -> list[dict[str, Any]]:
    """An entity's latest transactions by event time, newest first; at most `limit`.

    Each has `transaction_id`, `occurred_at`, `arrived_at`, `amount`, `currency`, `entities` and
    `categories` (key by type), `numeric` (number by name), `is_fraud` as last known and `band`
    as decided (None where not).
    """
    rows = connection.execute(
        "SELECT t.transaction_id, t.occurred_at, t.arrived_at, t.amount, t.currency, t.ids, t.numbers, d.band,"
        " (SELECT is_fraud FROM labels b WHERE b.transaction_id = t.transaction_id"
        "  ORDER BY known_at DESC, is_fraud DESC LIMIT 1)"
        " FROM (SELECT seq, occurred_at FROM links WHERE entity = ? ORDER BY occurred_at DESC, seq DESC LIMIT ?) l"
        " JOIN transactions t ON t.seq = l.seq LEFT JOIN decisions d ON d.transaction_id = t.transaction_id"
        " ORDER BY l.occurred_at DESC, l.seq DESC",
        (entity, max(limit, 0)),
    ).fetchall()
    ids = layout.ids([row[5] for row in rows])[:, layout.slots]
    numeric = layout.numbers([row[6] for row in rows])
    keys = dict(
        select_in(connection, "SELECT id, key FROM entities WHERE id IN ({})", sorted(set(ids.ravel().tolist())))
    )
    found = []
    linked = len(layout.schema.entities)
    for row, mine, numbers in zip(rows, ids.tolist(), numeric.tolist(), strict=True):
        named = [(name, keys.get(id_)) for name, id_ in zip(layout.schema.keyed, mine, strict=True)]
        text, occurred_at, arrived_at, amount, currency, _, _, band, is_fraud = row
        found.append(
            {
                "transaction_id": text,
                "occurred_at": occurred_at,
                "arrived_at": arrived_at,
                "amount": amount,
                "currency": currency,
                "entities": {name: key for name, key in named[:linked] if key is not None},
                "categories": {name: key for name, key in named[linked:] if key is not None},
                "numeric": {
                    name: number
                    for name, number in zip(layout.schema.numeric, numbers, strict=True)
                    if number == number  # noqa: PLR0124 (NaN is missing)
                },
                "is_fraud": None if is_fraud is None else bool(is_fraud),
                "band": band,
            }
        )
    return found


def walk(connection: sqlite3.Connection, layout: Layout, entity: int, depth: int, limit: int) -> dict[str, Any]:
    """The subgraph within `depth` steps (1 to 3) of an entity, at most `limit` nodes.

    A step goes from a user to a device, address, …, or back. Nodes carry sums over all their
    transactions, links over those looked at: the most recent by event time, at most `WALK` an entity and
    `BUDGET` in all. `truncated` says whether any of the bounds cut something off.
    """

    def latest(of: int, take: int) -> list[Looked]:
        rows = connection.execute(
            "SELECT t.seq, t.occurred_at, t.amount, f.seq IS NOT NULL, t.ids FROM"
            " (SELECT seq, occurred_at FROM links WHERE entity = ? ORDER BY occurred_at DESC, seq DESC LIMIT ?) l"
            " JOIN transactions t ON t.seq = l.seq LEFT JOIN frauds f ON f.seq = l.seq"
            " ORDER BY l.occurred_at DESC, l.seq DESC",
            (of, take),
        ).fetchall()
        linked = layout.ids([row[4] for row in rows])[:, layout.linked_slots].tolist()
        return [(*row[:3], bool(row[3]), ids) for row, ids in zip(rows, linked, strict=True)]

    found = Walk(limit=max(limit, 1)).go(entity, depth, latest)
    return found.told(describe(connection, layout, found.nodes))
