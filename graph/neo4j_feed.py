"""Reading the change feed of the Neo4j store: transactions, labels and entity keys in order, in chunks.

Rows with a number are never changed, and numbers follow the order of commits without gaps. A
reader may see a commit's counter a moment before all of its rows: then rows are missing, and it
reads them again.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import neo4j
import numpy as np
from numpy.typing import NDArray

from graph.errors import StoreError
from graph.neo4j_database import Database
from graph.neo4j_names import CATEGORY, FRAUD_LABEL, TRANSACTION, quoted
from graph.neo4j_state import Columns, State
from graph.neo4j_times import micros
from graph.store import EntityKeys, LabelChanges, TransactionChanges

_COMMIT_SECONDS = 10.0
_POLL_SECONDS = 0.005
_BLOCK = 2_000

Columnar = list[tuple[Any, ...]]


def transaction_changes(
    database: Database, columns: Columns, state: State, since: int, *, with_ids: bool, chunk: int
) -> Iterator[TransactionChanges]:
    """Transactions above `since`, up to the state."""
    texts = ", coalesce(t.long_id, t.id), t.currency" if with_ids else ""
    statement = (
        f"MATCH (t:{TRANSACTION}) WHERE t.seq > $since AND t.seq <= $end RETURN t.seq,"
        f" {micros('t.occurred_at')}, {micros('t.arrived_at')}, t.amount, t.ids, t.numbers{texts} ORDER BY t.seq"
    )
    layout = columns.layout
    for first, last in _parts(max(since, 0), state.transactions, chunk):
        seq, occurred_at, arrived_at, amount, ids, numbers, *more = _rows(database, statement, first, last)
        yield TransactionChanges(
            _integers(seq),
            _integers(occurred_at),
            _integers(arrived_at),
            _integers(amount),
            layout.ids(ids)[:, layout.slots],
            layout.numbers(numbers),
            transaction_ids=list(more[0]) if with_ids else None,
            currency=list(more[1]) if with_ids else None,
        )


def label_changes(database: Database, state: State, since: int, *, chunk: int) -> Iterator[LabelChanges]:
    """Labels of known transactions above `since`, up to the state."""
    statement = (
        f"MATCH (l:{FRAUD_LABEL}) WHERE l.seq > $since AND l.seq <= $end"
        f" RETURN l.seq, l.transaction_seq, {micros('l.known_at')}, l.is_fraud ORDER BY l.seq"
    )
    for first, last in _parts(max(since, 0), state.labels, chunk):
        seq, transaction_seq, known_at, is_fraud = _rows(database, statement, first, last)
        yield LabelChanges(
            _integers(seq), _integers(transaction_seq), _integers(known_at), np.array(is_fraud, dtype=np.bool_)
        )


def entity_keys(database: Database, columns: Columns, state: State, since: int, *, chunk: int) -> Iterator[EntityKeys]:
    """Keys of the integer ids from `since` on, up to the state."""
    schema = columns.schema
    nodes = [(f"MATCH (n:{quoted(kind.label)}) WHERE", position) for position, kind in enumerate(columns.types)]
    positions = {name: len(schema.entities) + i for i, name in enumerate(schema.categories)}

    def read(tx: neo4j.ManagedTransaction, first: int, last: int) -> list[tuple[int, int, str]]:
        where = "n.number > $since AND n.number <= $end RETURN n.number"
        span = {"since": first, "end": last}
        rows = [
            (number, position, key)
            for match, position in nodes
            for number, key in tx.run(f"{match} {where}, coalesce(n.long_id, n.id)", span).values()
        ]
        if positions:
            categories = tx.run(f"MATCH (n:{CATEGORY}) WHERE {where}, n.name, coalesce(n.long_id, n.id)", span)
            rows += [(number, positions[name], key) for number, name, key in categories.values()]
        return sorted(rows)

    for first, last in _parts(max(since, 0) - 1, state.entities - 1, chunk):
        rows = _complete(database, lambda tx, a=first, b=last: read(tx, a, b), last - first)  # type: ignore[misc]
        _, kinds, keys = zip(*rows, strict=True)
        yield EntityKeys(first + 1, np.array(kinds, dtype=np.int16), list(keys))


def _parts(since: int, end: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Spans of at most `chunk` numbers, each without its first and with its last."""
    for first in range(since, end, chunk):
        yield first, min(first + chunk, end)


def _rows(database: Database, statement: str, first: int, last: int) -> Columnar:
    """The columns of the rows numbered first + 1 to last."""

    def read(tx: neo4j.ManagedTransaction) -> list[list[Any]]:
        return tx.run(statement, since=first, end=last).values()

    return list(zip(*_complete(database, read, last - first), strict=True))


def _complete(database: Database, read: Callable[[neo4j.ManagedTransaction], list[Any]], count: int) -> list[Any]:
    """What `read` finds once it finds all of the rows that have been numbered."""
    deadline = time.monotonic() + _COMMIT_SECONDS
    while len(rows := database.read(read)) < count:
        if time.monotonic() > deadline:
            raise StoreError(
                f"the change feed of the store {database.shown} lacks {count - len(rows)} rows",
                hint="restore the database from a backup, or load the data into a new store",
            )
        time.sleep(_POLL_SECONDS)
    return rows


def _integers(column: tuple[int, ...]) -> NDArray[np.int64]:
    return np.fromiter(column, dtype=np.int64, count=len(column))
