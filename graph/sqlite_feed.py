"""Reading the change feed: transactions, labels and entity keys in order, in chunks.

Rows with a sequence number are never changed, and numbers follow the order of commits. So a
feed is consistent once its end is fixed, without holding a read transaction (which would
keep the write-ahead log from being emptied) while the reader works on a chunk.
"""

from collections.abc import Iterator

import numpy as np

from graph.sqlite_database import Database
from graph.sqlite_layout import Layout, LayoutCache
from graph.store import EntityKeys, LabelChanges, TransactionChanges, Watermark


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
    text = ", transaction_id" if with_ids else ""
    sql = (
        f"SELECT seq, occurred_at, arrived_at, amount, ids, numbers{text} FROM transactions"
        " WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    )
    while since < end:
        with database.reading() as connection:
            rows = connection.execute(sql, (since, end, chunk)).fetchall()
        if not rows:
            return
        seq, occurred_at, arrived_at, amount, ids, numbers, *texts = zip(*rows, strict=True)
        del rows
        since = seq[-1]
        yield TransactionChanges(
            np.array(seq, dtype=np.int64),
            np.array(occurred_at, dtype=np.int64),
            np.array(arrived_at, dtype=np.int64),
            np.array(amount, dtype=np.int64),
            layout.ids(ids)[:, layout.slots],
            layout.numbers(numbers),
            list(texts[0]) if with_ids else None,
        )


def label_changes(database: Database, since: int, *, chunk: int) -> Iterator[LabelChanges]:
    """Labels of known transactions above `since`, up to now (the moment of this call)."""
    return _labels(database, since, watermark(database).label, chunk=chunk)


def _labels(database: Database, since: int, end: int, *, chunk: int) -> Iterator[LabelChanges]:
    while since < end:
        with database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, transaction_seq, known_at, is_fraud FROM labels"
                " WHERE seq > ? AND seq <= ? AND transaction_seq IS NOT NULL ORDER BY seq LIMIT ?",
                (since, end, chunk),
            ).fetchall()
        if not rows:
            return
        seq, transaction_seq, known_at, is_fraud = zip(*rows, strict=True)
        since = seq[-1]
        yield LabelChanges(
            np.array(seq, dtype=np.int64),
            np.array(transaction_seq, dtype=np.int64),
            np.array(known_at, dtype=np.int64),
            np.array(is_fraud, dtype=np.bool_),
        )


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
