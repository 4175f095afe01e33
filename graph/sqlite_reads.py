"""Bounded reads around one entity, for people: who it is, what it did lately, what it hangs together with."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from graph.records import entity_type
from graph.sqlite_database import select_in
from graph.sqlite_layout import Layout

WALK = 1_000
"""Most recent transactions looked at for one entity of a neighbourhood."""
BUDGET = 5_000
"""Most transactions looked at for one neighbourhood."""
MAX_DEPTH = 3


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


@dataclass(slots=True)
class _Link:
    transactions: int = 0
    amount: int = 0
    first_at: int = 2**63 - 1
    last_at: int = -(2**63)
    fraud_known: int = 0

    def add(self, occurred_at: int, amount: int, is_fraud: bool) -> None:
        self.transactions += 1
        self.amount += amount
        self.first_at = min(self.first_at, occurred_at)
        self.last_at = max(self.last_at, occurred_at)
        self.fraud_known += is_fraud


@dataclass(slots=True)
class _Walk:
    """A walk outward from one entity, bounded in nodes and in transactions looked at."""

    limit: int
    nodes: dict[int, int] = field(default_factory=dict)
    """Steps from the start, by entity."""
    links: dict[tuple[int, int], _Link] = field(default_factory=dict)
    """By user and other entity."""
    counted: set[tuple[int, int]] = field(default_factory=set)
    """Transaction and other entity that are in a link already: both ends may be walked."""
    budget: int = BUDGET
    truncated: bool = False

    def step(self, connection: sqlite3.Connection, layout: Layout, entity: int) -> list[int]:
        """Looks at the latest transactions of a node; returns the nodes found."""
        take = min(WALK, self.budget)
        rows = connection.execute(
            "SELECT t.seq, t.occurred_at, t.amount, t.ids, f.seq IS NOT NULL"
            " FROM (SELECT seq, occurred_at FROM links WHERE entity = ? ORDER BY occurred_at DESC, seq DESC LIMIT ?) l"
            " JOIN transactions t ON t.seq = l.seq LEFT JOIN frauds f ON f.seq = l.seq"
            " ORDER BY l.occurred_at DESC, l.seq DESC",
            (entity, take + 1),
        ).fetchall()
        if len(rows) > take:
            self.truncated = True
            rows.pop()
        self.budget -= len(rows)
        found = []
        depth = self.nodes[entity] + 1
        users = layout.linked_slots[0]
        ids = layout.ids([row[3] for row in rows])
        linked = ids[:, layout.linked_slots[1:]].tolist()
        for (seq, occurred_at, amount, _, is_fraud), user, others in zip(
            rows, ids[:, users].tolist(), linked, strict=True
        ):
            for other in others if user == entity else (entity,):
                if other < 0 or (seq, other) in self.counted:
                    continue
                far = other if user == entity else user
                if far not in self.nodes:
                    if len(self.nodes) >= self.limit:
                        self.truncated = True
                        continue
                    self.nodes[far] = depth
                    found.append(far)
                self.counted.add((seq, other))
                self.links.setdefault((user, other), _Link()).add(occurred_at, amount, bool(is_fraud))
        return found


def walk(connection: sqlite3.Connection, layout: Layout, entity: int, depth: int, limit: int) -> dict[str, Any]:
    """The subgraph within `depth` steps (1 to 3) of an entity, at most `limit` nodes.

    A step goes from a user to a device, address, …, or back. Nodes carry sums over all their
    transactions, links over those looked at: the most recent by event time, at most `WALK` an entity and
    `BUDGET` in all. `truncated` says whether any of the bounds cut something off.
    """
    state = _Walk(limit=max(limit, 1))
    state.nodes[entity] = 0
    frontier = [entity]
    for _ in range(min(max(depth, 1), MAX_DEPTH)):
        found: list[int] = []
        for node in frontier:
            if state.budget <= 0:
                state.truncated = True
                break
            found += state.step(connection, layout, node)
        frontier = found
    known = describe(connection, layout, state.nodes)
    name = {id_: f"{node['type']}:{node['key']}" for id_, node in known.items()}
    return {
        "nodes": [{"id": name[id_], **known[id_], "depth": steps} for id_, steps in state.nodes.items()],
        "links": [
            {
                "source": name[user],
                "target": name[other],
                "relationship": entity_type(known[other]["type"]).aggregate,
                "transactions": link.transactions,
                "amount": link.amount,
                "first_at": link.first_at,
                "last_at": link.last_at,
                "fraud_known": link.fraud_known,
            }
            for (user, other), link in state.links.items()
        ],
        "truncated": state.truncated,
    }
