"""Writing transactions and attributes: inside one write transaction of SQLite, idempotent."""

import json
import sqlite3
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph.attributes import as_text, given_attributes
from graph.batches import TransactionBatch
from graph.contents import Content, first_of, judge
from graph.errors import InputError
from graph.layout import UNKNOWN, Layout
from graph.sqlite_database import select_in
from graph.sqlite_labels import adopt_waiting
from graph.sqlite_layout import KeyIds
from graph.store import Outcome


def write_transactions(
    connection: sqlite3.Connection, layout: Layout, known: KeyIds, batch: TransactionBatch
) -> NDArray[np.int8]:
    """Writes what is new of a batch; an `Outcome` a row.

    Sequence numbers follow the order of the rows. They are given under the write lock, so whoever
    reads the feed up to one of them has seen all below it.
    """
    texts = batch.transaction_ids
    stored = _Stored.read(connection, layout, texts)
    first = first_of(texts)
    rows = np.arange(len(texts))
    at = np.fromiter((stored.position.get(text, -1) for text in texts), dtype=np.int64, count=len(texts))
    is_new = (at < 0) & (first == rows)
    new = np.flatnonzero(is_new)
    ids = _ids(connection, layout, known, batch, is_new)

    outcomes = np.full(len(texts), Outcome.LOADED, dtype=np.int8)
    mine = Content(batch.occurred_at, batch.amount, np.array(batch.currency, dtype=object), ids, batch.numeric)
    again = np.flatnonzero(at >= 0)
    if again.size:
        judge(outcomes, again, mine.take(again), stored.content.take(at[again]))
    repeated = np.flatnonzero((at < 0) & (first < rows))
    if repeated.size:
        judge(outcomes, repeated, mine.take(repeated), mine.take(first[repeated]))
    if new.size:
        (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM transactions").fetchone()
        seq = np.arange(last + 1, last + 1 + new.size)
        _insert(connection, batch, ids, new, seq)
        _link(connection, layout, batch, ids[new], new, seq)
        adopt_waiting(connection, layout, dict(zip((texts[i] for i in new.tolist()), seq.tolist(), strict=True)))
    return outcomes


def write_attributes(
    connection: sqlite3.Connection, layout: Layout, known: KeyIds, entity: str, table: pa.Table
) -> int:
    """Merges attributes into entities, creating those that are not there; the last row of a key wins.

    An empty value (NaN too) leaves the attribute as it is; times are kept as ISO 8601 text.
    Returns the number of distinct entities.

    Raises:
        InputError: the entity type is not in the schema, or the table has no usable column `key`.
    """
    kind = layout.entity_kind(entity)
    if kind is None:
        raise InputError(f"the store has no entity type {entity!r}", hint=f"it has {', '.join(layout.schema.entities)}")
    given = given_attributes(table)
    keys = list(given)
    ids = known.look_up(connection, kind, keys)
    fresh = np.flatnonzero(ids == UNKNOWN)
    ids[fresh] = known.create(connection, kind, [keys[i] for i in fresh])
    before = dict(select_in(connection, "SELECT id, attributes FROM entities WHERE id IN ({})", ids.tolist()))
    changes = []
    for key, id_ in zip(keys, ids.tolist(), strict=True):
        old = json.loads(before[id_]) if before[id_] else {}
        merged = {**old, **given[key]}
        if merged != old:
            changes.append((as_text(merged), id_))
    connection.executemany("UPDATE entities SET attributes = ? WHERE id = ?", changes)
    return len(keys)


class _Stored:
    """The rows that the store has of some transaction ids."""

    def __init__(self, content: Content, position: dict[str, int]) -> None:
        self.content = content
        self.position = position

    @classmethod
    def read(cls, connection: sqlite3.Connection, layout: Layout, texts: list[str]) -> "_Stored":
        rows = list(
            select_in(
                connection,
                "SELECT transaction_id, occurred_at, amount, currency, ids, numbers FROM transactions"
                " WHERE transaction_id IN ({})",
                texts,
            )
        )
        text, occurred_at, amount, currency, ids, numbers = zip(*rows, strict=True) if rows else ((),) * 6
        content = Content(
            np.array(occurred_at, dtype=np.int64),
            np.array(amount, dtype=np.int64),
            np.array(currency, dtype=object),
            layout.ids(ids),
            layout.numbers(numbers),
        )
        return cls(content, {t: i for i, t in enumerate(text)})


def _ids(
    connection: sqlite3.Connection, layout: Layout, known: KeyIds, batch: TransactionBatch, is_new: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """int32[n, slots]: entity ids by slot. Keys get an id only where a new row has them."""
    ids = np.full((len(batch.transaction_ids), len(layout.kinds)), -1, dtype=np.int32)
    for kind, slot, column in zip(layout.kinds, layout.slots, batch.keys, strict=True):
        if column is None or not column.keys:
            continue
        by_code = np.append(known.look_up(connection, kind, column.keys), np.int32(-1))  # code -1 takes the last
        unknown = by_code[:-1] == UNKNOWN
        if unknown.any():
            used = np.zeros(len(by_code), dtype=np.bool_)
            used[column.codes[is_new]] = True
            fresh = np.flatnonzero(unknown & used[:-1])
            by_code[fresh] = known.create(connection, kind, [column.keys[i] for i in fresh.tolist()])
        ids[:, slot] = by_code[column.codes]
    return ids


def _insert(
    connection: sqlite3.Connection,
    batch: TransactionBatch,
    ids: NDArray[np.int32],
    new: NDArray[np.int64],
    seq: NDArray[np.int64],
) -> None:
    rows = new.tolist()
    texts, currency = batch.transaction_ids, batch.currency
    connection.executemany(
        "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        zip(
            seq.tolist(),
            (texts[i] for i in rows),
            batch.occurred_at[new].tolist(),
            batch.arrived_at[new].tolist(),
            batch.amount[new].tolist(),
            (currency[i] for i in rows),
            _blobs(ids[new]),
            _blobs(batch.numeric[new]),
            strict=True,
        ),
    )


def _blobs(matrix: NDArray[Any]) -> list[bytes]:
    width = matrix.shape[1] * matrix.itemsize
    joined = matrix.tobytes()
    return [joined[i * width : (i + 1) * width] for i in range(len(matrix))]


def _link(
    connection: sqlite3.Connection,
    layout: Layout,
    batch: TransactionBatch,
    ids: NDArray[np.int32],
    new: NDArray[np.int64],
    seq: NDArray[np.int64],
) -> None:
    """Writes the links of new rows and adds them to their entities' totals."""
    linked = ids[:, layout.linked_slots]
    width = linked.shape[1]
    entity = linked.ravel()
    occurred_at, amount = np.repeat(batch.occurred_at[new], width), np.repeat(batch.amount[new], width)
    seq = np.repeat(seq, width)
    # In the order of the primary key, so that each page is visited once.
    order = np.lexsort((seq, occurred_at, entity))
    order = order[np.searchsorted(entity[order], 0) :]
    entity, occurred_at, amount, seq = entity[order], occurred_at[order], amount[order], seq[order]
    connection.executemany(
        "INSERT INTO links VALUES (?, ?, ?)", zip(entity.tolist(), occurred_at.tolist(), seq.tolist(), strict=True)
    )
    starts = np.flatnonzero(np.diff(entity, prepend=-1))
    ends = np.append(starts[1:], len(entity))
    connection.executemany(
        "INSERT INTO totals VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (entity) DO UPDATE SET"
        " transactions = transactions + excluded.transactions, amount = amount + excluded.amount,"
        " first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)",
        zip(
            entity[starts].tolist(),
            (ends - starts).tolist(),
            np.add.reduceat(amount, starts).tolist(),
            occurred_at[starts].tolist(),
            occurred_at[ends - 1].tolist(),
            strict=True,
        ),
    )
