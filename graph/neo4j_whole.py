"""Reading all that a Neo4j store holds beside its change feed: labels as they were given, decisions, attributes."""

import json
from collections.abc import Iterator
from typing import Any

import neo4j
import numpy as np

from graph.neo4j_database import Database
from graph.neo4j_decisions import decision_of
from graph.neo4j_names import DECISION, FRAUD_LABEL, TRANSACTION, quoted
from graph.neo4j_state import Columns, State
from graph.neo4j_times import micros
from graph.records import Decision
from graph.store import LabelRows

_RETURNED = f"{micros('l.known_at')}, l.is_fraud, l.source"


def labels(database: Database, state: State, *, chunk: int) -> Iterator[LabelRows]:
    """All labels; those that wait for their transaction come last."""
    known = (
        f"MATCH (l:{FRAUD_LABEL}) WHERE l.seq > $since AND l.seq <= $end"
        f" MATCH (t:{TRANSACTION} {{seq: l.transaction_seq}})"
        f" RETURN coalesce(t.long_id, t.id), t.seq, {_RETURNED} ORDER BY l.seq"
    )
    for since in range(0, state.labels, chunk):
        rows = database.read(lambda tx, a=since: tx.run(known, since=a, end=a + chunk).values())  # type: ignore[misc]
        if rows:
            yield _label_rows(rows)
    waiting = (
        f"MATCH (l:{FRAUD_LABEL}) WHERE l.ticket IS NOT NULL"
        f" RETURN coalesce(l.long_id, l.transaction_id), 0, {_RETURNED} ORDER BY l.ticket"
    )
    if state.waiting_labels:
        rows = database.read(lambda tx: tx.run(waiting).values())
        for i in range(0, len(rows), chunk):
            yield _label_rows(rows[i : i + chunk])


def decisions(database: Database, *, chunk: int) -> Iterator[list[Decision]]:
    """All decisions, by transaction id as the index holds it."""
    statement = (
        f"MATCH (d:{DECISION}) WHERE d.id > $after OR ($after = '' AND d.id = '') WITH d ORDER BY d.id LIMIT $limit"
        f" RETURN d.id, coalesce(d.long_id, d.id), d.digest, {micros('d.decided_at')}, d.probability, d.band,"
        " d.model_version, d.response, d.features"
    )
    after = ""
    while rows := _page(database, statement, after=after, limit=chunk):
        yield [decision_of(*row[1:]) for row in rows]
        after = rows[-1][0]
        if not after:  # the empty text is an id, too
            statement = statement.replace(" OR ($after = '' AND d.id = '')", "")


def attributes(
    database: Database, columns: Columns, state: State, entity: str, *, chunk: int
) -> Iterator[dict[str, dict[str, Any]]]:
    """Attributes by key of the entities of a type that have some, or no transactions."""
    kind = columns.type(entity)
    if kind is None:
        return
    statement = (
        f"MATCH (n:{quoted(kind.label)}) WHERE n.number >= $since AND n.number < $end"
        " AND (n.attributes IS NOT NULL OR n.transactions = 0)"
        " RETURN n.number, coalesce(n.long_id, n.id), n.attributes ORDER BY n.number"
    )
    for since in range(0, state.entities, chunk):
        if rows := _page(database, statement, since=since, end=since + chunk):
            yield {key: json.loads(given) if given else {} for _, key, given in rows}


def _page(database: Database, statement: str, **values: Any) -> list[list[Any]]:
    def read(tx: neo4j.ManagedTransaction) -> list[list[Any]]:
        return tx.run(statement, values).values()

    return database.read(read)


def _label_rows(rows: list[list[Any]]) -> LabelRows:
    texts, seq, known_at, is_fraud, source = zip(*rows, strict=True)
    return LabelRows(
        list(texts),
        np.array(seq, dtype=np.int64),
        np.array(known_at, dtype=np.int64),
        np.array(is_fraud, dtype=np.bool_),
        list(source),
    )
