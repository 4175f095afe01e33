"""Bounded reads around one entity, for people: who it is, what it did lately, what it hangs together with."""

import json
from collections.abc import Iterable
from typing import Any

import neo4j

from graph.embedding_records import Overview
from graph.neo4j_hubs import latest, latest_of
from graph.neo4j_names import CATEGORY, bounded, quoted
from graph.neo4j_state import Columns
from graph.neo4j_times import micros
from graph.walks import Looked, Walk


def find_entity(tx: neo4j.ManagedTransaction, columns: Columns, entity: str, key: str) -> int | None:
    """The integer id of an entity; None where its type or key is not known."""
    id_ = bounded(key)
    kind = columns.type(entity)
    if kind is None:
        return None
    record = tx.run(f"MATCH (n:{quoted(kind.label)} {{id: $id}}) RETURN n.number", id=id_).single()
    return None if record is None else int(record.value())


def describe(tx: neo4j.ManagedTransaction, columns: Columns, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """What is known of entities in all: type, key, attributes, and sums over all their transactions.

    `first_at` and `last_at` (microseconds UTC, event time) are None where there is no transaction.
    """
    numbers = list(ids)
    found: dict[int, dict[str, Any]] = {}
    for kind in columns.types:
        for number, key, attributes, transactions, first_at, last_at, amount, fraud_known in tx.run(
            f"UNWIND $numbers AS number MATCH (n:{quoted(kind.label)} {{number: number}}) RETURN number,"
            f" coalesce(n.long_id, n.id), n.attributes, n.transactions, {micros('n.first_at')},"
            f" {micros('n.last_at')}, n.amount, n.fraud_known",
            numbers=numbers,
        ).values():
            found[number] = {
                "type": kind.name,
                "key": key,
                "attributes": json.loads(attributes) if attributes else {},
                "transactions": transactions,
                "first_at": first_at,
                "last_at": last_at,
                "amount": amount,
                "fraud_known": fraud_known,
            }
    return found


def overviews(
    tx: neo4j.ManagedTransaction, columns: Columns, entity: str, keys: Iterable[str], limit: int
) -> dict[str, Overview]:
    """Entities of one type in short, in one statement; bands are those of their latest `limit` transactions."""
    kind = columns.type(entity)
    if kind is None:
        return {}
    text = {bounded(key): key for key in keys}
    rows = tx.run(
        f"UNWIND $ids AS id MATCH (n:{quoted(kind.label)} {{id: id}})"
        f" CALL {{ WITH n {latest_of(columns, columns.types.index(kind))} RETURN collect(DISTINCT t.band) AS bands }}"
        f" RETURN id, n.transactions, n.fraud_known, {micros('n.first_at')}, {micros('n.last_at')}, bands",
        ids=list(text), limit=max(limit, 0),
    ).values()  # fmt: skip
    return {
        text[id_]: Overview(transactions, fraud_known, first_at, last_at, frozenset(bands))
        for id_, transactions, fraud_known, first_at, last_at, bands in rows
    }


def recent(
    tx: neo4j.ManagedTransaction, columns: Columns, entity: str, number: int, limit: int
) -> list[dict[str, Any]]:
    """An entity's latest transactions by event time, newest first; at most `limit`.

    Each has `transaction_id`, `occurred_at`, `arrived_at`, `amount`, `currency`, `entities` and
    `categories` (key by type), `numeric` (number by name), `is_fraud` as last known and `band`
    as decided (None where not).
    """
    layout, schema = columns.layout, columns.schema
    rows = _latest(
        tx, columns, entity, number, limit,
        f"coalesce(t.long_id, t.id), {micros('t.occurred_at')}, {micros('t.arrived_at')}, t.amount, t.currency,"
        " t.is_fraud, t.band, t.ids, t.numbers",
    )  # fmt: skip
    ids = layout.ids([row[7] for row in rows])[:, layout.slots].tolist()
    numeric = layout.numbers([row[8] for row in rows]).tolist()
    linked = len(schema.entities)
    keys = _keys(tx, columns, {id_ for mine in ids for id_ in mine})
    found = []
    for row, mine, numbers in zip(rows, ids, numeric, strict=True):
        text, occurred_at, arrived_at, amount, currency, is_fraud, band, *_ = row
        named = [(name, keys[id_]) for name, id_ in zip(schema.keyed, mine, strict=True) if id_ >= 0]
        of_entities = sum(id_ >= 0 for id_ in mine[:linked])
        found.append(
            {
                "transaction_id": text,
                "occurred_at": occurred_at,
                "arrived_at": arrived_at,
                "amount": amount,
                "currency": currency,
                "entities": dict(named[:of_entities]),
                "categories": dict(named[of_entities:]),
                "numeric": {
                    name: number
                    for name, number in zip(schema.numeric, numbers, strict=True)
                    if number == number  # noqa: PLR0124 (NaN is missing)
                },
                "is_fraud": is_fraud,
                "band": band,
            }
        )
    return found


def walk(
    tx: neo4j.ManagedTransaction, columns: Columns, entity: str, number: int, depth: int, limit: int
) -> dict[str, Any]:
    """The subgraph within `depth` steps (1 to 3) of an entity, at most `limit` nodes; see `graph.walks`."""
    type_of = {number: entity}
    layout = columns.layout

    def look(of: int, take: int) -> list[Looked]:
        rows = _latest(
            tx, columns, type_of[of], of, take, f"t.seq, {micros('t.occurred_at')}, t.amount, t.is_fraud, t.ids"
        )
        linked = layout.ids([row[4] for row in rows])[:, layout.linked_slots].tolist()
        for ids in linked:
            type_of.update(zip(ids, columns.schema.entities, strict=True))
        return [(*row[:3], bool(row[3]), ids) for row, ids in zip(rows, linked, strict=True)]

    found = Walk(limit=max(limit, 1)).go(number, depth, look)
    return found.told(describe(tx, columns, found.nodes))


def _latest(
    tx: neo4j.ManagedTransaction, columns: Columns, entity: str, number: int, limit: int, returned: str
) -> list[list[Any]]:
    position = columns.schema.entities.index(entity)
    return tx.run(
        f"{latest(columns, position)} RETURN {returned} ORDER BY t.occurred_at DESC, t.seq DESC",
        number=number, limit=max(limit, 0),
    ).values()  # fmt: skip


def _keys(tx: neo4j.ManagedTransaction, columns: Columns, ids: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for label in (*(quoted(kind.label) for kind in columns.types), CATEGORY):
        statement = f"UNWIND $ids AS id MATCH (n:{label} {{number: id}}) RETURN id, coalesce(n.long_id, n.id)"
        found.update((id_, key) for id_, key in tx.run(statement, ids=list(ids)).values())
    return found
