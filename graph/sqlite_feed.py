"""Reading the change feed: transactions, labels and entity keys in order, in chunks.

Rows with a sequence number are never changed, and numbers follow the order of commits. So a
feed is consistent once its end is fixed, without holding a read transaction (which would
keep the write-ahead log from being emptied) while the reader works on a chunk.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph.layout import Layout
from graph.sqlite_database import Database
from graph.sqlite_layout import LayoutCache
from graph.store import EntityKeys, LabelChanges, TransactionChanges, Watermark

_BLOCK = 1_024


def watermark(database: Database) -> Watermark:
    """The newest position of the change feed."""
    with database.reading() as connection:
        row = connection.execute(
            "SELECT coalesce((SELECT max(seq) FROM transactions), 0), coalesce((SELECT max(seq) FROM labels), 0)"
        ).fetchone()
    return Watermark(*row)


def transaction_changes(
    database: Database, layouts: LayoutCache, since: int, *, with_ids: bool, chunk: int
) -> Iterator[TransactionChanges]:
    """Transactions above `since`, up to now (the moment of this call)."""
    with database.reading() as connection:
        layout = layouts.read(connection)
        (end,) = connection.execute("SELECT coalesce(max(seq), 0) FROM transactions").fetchone()
    return _transactions(database, layout, since, end, with_ids=with_ids, chunk=chunk)


def _transactions(
    database: Database, layout: Layout, since: int, end: int, *, with_ids: bool, chunk: int
) -> Iterator[TransactionChanges]:
    text = ", transaction_id, currency" if with_ids else ""
    sql = (
        f"SELECT seq, occurred_at, arrived_at, amount, ids, numbers{text} FROM transactions"
        " WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    )
    while since < end:
        arrays: list[tuple[NDArray[Any], ...]] = []
        texts: list[str] = []
        currency: list[str | None] = []
        with database.reading() as connection:
            for columns in _blocks(connection.execute(sql, (since, end, chunk))):
                by_position = layout.ids(columns[4])[:, layout.slots]
                arrays.append((*map(_integers, columns[:4]), by_position, layout.numbers(columns[5])))
                if with_ids:
                    texts += columns[6]
                    currency += columns[7]
        if not arrays:
            return
        seq, occurred_at, arrived_at, amount, ids, numbers = map(np.concatenate, zip(*arrays, strict=True))
        since = int(seq[-1])
        yield TransactionChanges(
            seq, occurred_at, arrived_at, amount, ids, numbers,
            transaction_ids=texts if with_ids else None, currency=currency if with_ids else None,
        )  # fmt: skip


def label_changes(database: Database, since: int, *, chunk: int) -> Iterator[LabelChanges]:
    """Labels of known transactions above `since`, up to now (the moment of this call)."""
    return _labels(database, since, watermark(database).label, chunk=chunk)


def _labels(database: Database, since: int, end: int, *, chunk: int) -> Iterator[LabelChanges]:
    while since < end:
        with database.reading() as connection:
            cursor = connection.execute(
                "SELECT seq, transaction_seq, known_at, is_fraud FROM labels"
                " WHERE seq > ? AND seq <= ? AND transaction_seq IS NOT NULL ORDER BY seq LIMIT ?",
                (since, end, chunk),
            )
            blocks = [[_integers(column) for column in columns] for columns in _blocks(cursor)]
        if not blocks:
            return
        seq, transaction_seq, known_at, is_fraud = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
        since = int(seq[-1])
        yield LabelChanges(seq, transaction_seq, known_at, is_fraud.astype(np.bool_))


def entity_keys(database: Database, layouts: LayoutCache, since: int, *, chunk: int) -> Iterator[EntityKeys]:
    """Keys of the integer ids from `since` on, up to now (the moment of this call)."""
    with database.reading() as connection:
        layout = layouts.read(connection)
        (end,) = connection.execute("SELECT coalesce(max(id) + 1, 0) FROM entities").fetchone()
    return _keys(database, layout, max(since, 0), end, chunk=chunk)


def _keys(database: Database, layout: Layout, since: int, end: int, *, chunk: int) -> Iterator[EntityKeys]:
    position = np.zeros(layout.version + 1, dtype=np.int16)
    position[list(layout.kinds)] = np.arange(len(layout.kinds))
    while since < end:
        with database.reading() as connection:
            rows = connection.execute(
                "SELECT kind, key FROM entities WHERE id >= ? AND id < ? ORDER BY id", (since, min(since + chunk, end))
            ).fetchall()
        kinds, keys = zip(*rows, strict=True)
        yield EntityKeys(since, position[list(kinds)], list(keys))
        since += len(rows)


def _blocks(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    """The columns of a result, a block of rows at a time: small blocks stay in the processor's cache."""
    while rows := cursor.fetchmany(_BLOCK):
        yield list(zip(*rows, strict=True))


def _integers(column: tuple[int, ...]) -> NDArray[np.int64]:
    return np.fromiter(column, dtype=np.int64, count=len(column))
